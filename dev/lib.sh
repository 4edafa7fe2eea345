# shellcheck shell=bash
#
# lib.sh
#	What dev/test and dev/demo have in common: finding a PostgreSQL server
#	(and, as root on Debian, installing what is missing), a private copy of
#	its installation with itemcache built and installed into it, and leaving
#	nothing behind but the packages it installed.
#
# The machine's own installation is only read, and its clusters are not even
# looked at: everything happens below one temporary directory, $WORK:
#
#	$WORK/root		the server's installation, copied; PostgreSQL finds its
#					files relative to its programs, so the copy is complete
#	$WORK/src		the source, copied; built there
#	$WORK/tmp		$TMPDIR of everything that runs: sockets, mostly
#	$WORK/home		$HOME of everything that runs
#
# Every server we start runs a program below $WORK/root, which is how we know
# our processes from others when they are to be stopped.
#
# Servers do not run as root.  When root calls us, only installing packages
# and copying is done as root; the rest goes through run().

set -u -o pipefail

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
PROGRAM=dev/$(basename "$0")

MIN_MAJOR=15
MAX_MAJOR=19

WORK=
POLICY=
CHILD=
AS_USER=()
RUN_USER=$(id -un)

say()
{
	printf '%s\n' "$*"
}

die()
{
	printf '%s: %s\n' "$PROGRAM" "$1" >&2
	shift
	[ $# -eq 0 ] || printf '  %s\n' "$@" >&2
	exit 1
}

# The comment at the head of the script that was called.
usage()
{
	sed -n '3,/^$/{/^#/s/^#//p}' "$SOURCE/$PROGRAM"
	exit "$1"
}

# ---------------------------------------------------------------------------
# Leaving nothing behind
# ---------------------------------------------------------------------------

# Processes that run a program of our private installation.
private_processes()
{
	local exe target

	for exe in /proc/[0-9]*/exe; do
		target=$(readlink "$exe" 2>/dev/null) || continue
		case $target in
			"$WORK"/root/*)
				exe=${exe#/proc/}
				printf '%s\n' "${exe%/exe}"
				;;
		esac
	done
}

# stop_private SIGNAL SECONDS: true when none is left.
stop_private()
{
	local signal=$1 tries=$(($2 * 10)) pids

	mapfile -t pids < <(private_processes)
	[ ${#pids[@]} -gt 0 ] || return 0
	kill "-$signal" "${pids[@]}" 2>/dev/null
	while [ $tries -gt 0 ]; do
		[ -n "$(private_processes)" ] || return 0
		sleep 0.1
		tries=$((tries - 1))
	done
	return 1
}

cleanup()
{
	local status=$?

	trap - EXIT
	trap '' INT TERM HUP
	if [ -n "$CHILD" ]; then
		kill -TERM -- "-$CHILD" 2>/dev/null
		wait "$CHILD" 2>/dev/null
	fi
	[ -z "$POLICY" ] || rm -f "$POLICY"
	if [ -n "$WORK" ]; then
		cd /
		# fast shutdown for postmasters, cancel for the rest; then harder
		stop_private INT 10 || stop_private QUIT 10 || stop_private KILL 5
		rm -rf "$WORK" || say "$PROGRAM: could not remove $WORK" >&2
	fi
	exit $status
}

# Let signals end the program by way of its EXIT trap.  A second one, as from
# timeout(1) or an impatient user, must not end that in turn.
trap_signals()
{
	trap "trap '' HUP INT TERM; exit 129" HUP
	trap "trap '' HUP INT TERM; exit 130" INT
	trap "trap '' HUP INT TERM; exit 143" TERM
}

# Run a command as the unprivileged user.
run()
{
	"${AS_USER[@]}" "$@"
}

# The same for a command that takes long: signals to us interrupt it at once
# (bash would wait for it before it runs a trap), along with all its children.
run_job()
{
	local status

	set -m
	run "$@" </dev/null &
	CHILD=$!
	set +m
	wait "$CHILD"
	status=$?
	CHILD=
	return $status
}

# ---------------------------------------------------------------------------
# The server to use, and what is needed
# ---------------------------------------------------------------------------

# The newest server of Debian's layout that we support, if any.
installed_major()
{
	local dir major

	for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -rV); do
		major=${dir#/usr/lib/postgresql/}
		major=${major%%/*}
		case $major in *[!0-9]*) continue ;; esac
		if [ -x "$dir" ] && [ "$major" -ge $MIN_MAJOR ] && [ "$major" -le $MAX_MAJOR ]; then
			printf '%s\n' "$major"
			return
		fi
	done
}

# The major that apt would install.
available_major()
{
	apt-cache depends postgresql 2>/dev/null |
		sed -n 's/^ *Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1
}

# Names of the Debian packages that are missing, for server $1.
missing_packages()
{
	local major=$1 lib=/usr/lib/postgresql/$1

	command -v make >/dev/null && command -v gcc >/dev/null &&
		[ -e /usr/include/stdio.h ] || echo build-essential
	command -v prove >/dev/null && perl -MTest::More -MTime::HiRes -e 1 2>/dev/null ||
		echo perl
	perl -MIPC::Run -e 1 2>/dev/null || echo libipc-run-perl
	[ -n "$major" ] || return 0
	[ -x "$lib/bin/postgres" ] && [ -x "$lib/bin/initdb" ] || echo "postgresql-$major"
	[ -x "$lib/bin/pg_config" ] && [ -e "$lib/lib/pgxs/src/makefiles/pgxs.mk" ] &&
		[ -e "/usr/include/postgresql/$major/server/postgres.h" ] ||
		echo "postgresql-server-dev-$major"
}

# Sets PG_CONFIG and MAJOR; as root installs what is missing.
find_server()
{
	local major missing output apt_get=0

	if [ -n "${PG_CONFIG:-}" ]; then
		command -v "$PG_CONFIG" >/dev/null || die "PG_CONFIG is not a program: $PG_CONFIG"
		PG_CONFIG=$(command -v "$PG_CONFIG")
		# Debian's /usr/bin/pg_config speaks for another one
		if [ -x "$("$PG_CONFIG" --bindir)/pg_config" ]; then
			PG_CONFIG=$("$PG_CONFIG" --bindir)/pg_config
		fi
		major=
	else
		major=$(installed_major)
	fi
	if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
		apt_get=1
	fi

	mapfile -t missing < <(missing_packages "$major")
	if [ -z "${PG_CONFIG:-}" ] && [ -z "$major" ]; then
		if [ $apt_get -eq 0 ]; then
			missing+=("postgresql" "postgresql-server-dev-all")
		fi
	elif [ ${#missing[@]} -eq 0 ]; then
		apt_get=0
	fi

	if [ $apt_get -eq 1 ]; then
		say "== looking for packages"
		output=$(apt apt-get -q update 2>&1) || die "apt-get update failed" "$output"
		if [ -z "${PG_CONFIG:-}" ] && [ -z "$major" ]; then
			major=$(available_major)
			[ -n "$major" ] || die "this machine's package lists have no PostgreSQL server"
			mapfile -t missing < <(missing_packages "$major")
		fi
		say "== installing packages: ${missing[*]} (this may take minutes)"
		if ! install_packages "${missing[@]}"; then
			# of repositories it could not read apt-get update only warns
			printf '%s\n' "$output" | grep '^[WE]:' >&2
			die "could not install: ${missing[*]}"
		fi
	elif [ ${#missing[@]} -gt 0 ]; then
		die "packages are missing: ${missing[*]}" \
			"On Debian or Ubuntu: sudo apt-get install ${missing[*]}" \
			"or run $PROGRAM as root, which does that itself."
	fi

	: "${PG_CONFIG:=/usr/lib/postgresql/$major/bin/pg_config}"
	check_server
}

# What the program's optional_packages(), if it has that, says it can do
# without: installed as root on Debian, else nobody is asked for it.
install_optional()
{
	local package missing

	declare -F optional_packages >/dev/null || return 0
	[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return 0
	mapfile -t missing < <(optional_packages)
	[ ${#missing[@]} -gt 0 ] || return 0
	say "== installing packages: ${missing[*]}"
	apt apt-get -q update >/dev/null || say "$PROGRAM: apt-get update failed"
	for package in "${missing[@]}"; do
		install_packages "$package" || say "$PROGRAM: could not install $package"
	done
}

# How far apt is, of the lines of its status descriptor: on a terminal one line
# that changes, elsewhere a line now and then.
show_progress()
{
	local kind package percent what shown=-10 line=

	while IFS=: read -r kind package percent what; do
		case $kind in
			dlstatus) line="downloading ${percent%.*} %" ;;
			pmstatus) line="installing ${percent%.*} %: $what" ;;
			*) continue ;;
		esac
		if [ -t 1 ]; then
			printf '\r    %-70.70s' "$line"
		elif [ $((SECONDS - shown)) -ge 10 ]; then
			shown=$SECONDS
			say "   $line"
		fi
	done
	[ ! -t 1 ] || printf '\r%-74s\r' ''
}

# What apt says is shown only when it fails.  Of what is installed no server
# is started, and none that runs is stopped or restarted.
install_packages()
{
	local output status

	if [ ! -e /usr/sbin/policy-rc.d ]; then
		POLICY=/usr/sbin/policy-rc.d
		printf '#!/bin/sh\nexit 101\n' >$POLICY && chmod 755 $POLICY
	fi
	output=$(mktemp) || die "no temporary file"
	{
		apt apt-get -q -y -o APT::Status-Fd=3 -o DPkg::Lock::Timeout=300 \
			-o Dpkg::Options::=--force-confold \
			install --no-install-recommends "$@" 3>&1 >"$output" 2>&1
	} | show_progress
	status=${PIPESTATUS[0]}
	[ -z "$POLICY" ] || rm -f "$POLICY"
	POLICY=
	[ $status -eq 0 ] || tail -n 40 "$output" >&2
	rm -f "$output"
	return $status
}

apt()
{
	DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none NEEDRESTART_MODE=l \
		"$@" </dev/null
}

# Does the server of PG_CONFIG have all we use?
check_server()
{
	local bindir pgxs file

	bindir=$("$PG_CONFIG" --bindir) || die "$PG_CONFIG does not work"
	pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
	for file in "$bindir/postgres" "$bindir/initdb" "$bindir/psql" \
		"$("$PG_CONFIG" --includedir-server)/postgres.h" \
		"$pgxs/src/makefiles/pgxs.mk" "$pgxs/src/test/regress/pg_regress" \
		"$pgxs/src/test/isolation/pg_isolation_regress" \
		"$pgxs/src/test/perl/PostgreSQL/Test/Cluster.pm"; do
		[ -e "$file" ] || die "the server of $PG_CONFIG lacks $file" \
			"A self-built server has it all if configured with --enable-tap-tests."
	done
	MAJOR=$("$PG_CONFIG" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
	if [ "$MAJOR" -lt $MIN_MAJOR ] || [ "$MAJOR" -gt $MAX_MAJOR ]; then
		die "$("$PG_CONFIG" --version) is not supported: $MIN_MAJOR to $MAX_MAJOR are"
	fi
}

# ---------------------------------------------------------------------------
# The private installation
# ---------------------------------------------------------------------------

# Sets AS_USER and RUN_USER: whom servers run as.
choose_user()
{
	[ "$(id -u)" -eq 0 ] || return 0
	RUN_USER=nobody
	if getent passwd postgres >/dev/null; then
		RUN_USER=postgres
	fi
	if command -v setpriv >/dev/null; then
		AS_USER=(setpriv "--reuid=$RUN_USER" "--regid=$(id -g "$RUN_USER")" --init-groups --)
	else
		AS_USER=(runuser -u "$RUN_USER" --)
	fi
}

# Copy directories to the same paths below $WORK/root.
copy_installation()
{
	local what dir copied=: libdir

	for what in bindir pkglibdir sharedir pkgincludedir includedir-server; do
		dir=$("$PG_CONFIG" "--$what")
		case $copied in *:"$dir":*) continue ;; esac
		copied=$copied$dir:
		[ -d "$WORK/root$dir" ] && continue
		mkdir -p "$WORK/root$dir" &&
			cp -R -p "$dir/." "$WORK/root$dir/" || die "could not copy $dir"
	done

	# a self-built server may find its libpq only by its old path
	libdir=$("$PG_CONFIG" --libdir)
	case $libdir in
		/usr/lib | /usr/lib/* | /lib | /lib/*) ;;
		*) export LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} ;;
	esac

	PG_CONFIG=$WORK/root$("$PG_CONFIG" --bindir)/pg_config
}

# Whatever is in the work tree, but for what was built there.
copy_source()
{
	tar -C "$SOURCE" -c -f - --exclude-vcs --exclude='*.o' --exclude='*.bc' \
		--exclude='*.so' --exclude=./results --exclude=./output_iso \
		--exclude=./tmp_check --exclude=./tmp_check_iso --exclude=./log \
		--exclude='./regression.*' . |
		tar -C "$WORK/src" -x -f - --no-same-owner || die "could not copy the source"
}

check_installation()
{
	local what path

	for what in bindir pkglibdir sharedir includedir-server pgxs; do
		path=$(run "$PG_CONFIG" "--$what") ||
			die "the copied pg_config does not run" \
				"Is $(dirname "$WORK") mounted noexec?  TMPDIR names another directory."
		case $path in
			"$WORK"/root/*) ;;
			*) die "cannot make a private copy of this server" \
				"pg_config --$what of the copy says $path" ;;
		esac
	done
}

# Everything from the start to an installed extension; sets WORK, BINDIR and
# PGXS_DIR, and the environment for all that runs.
set_up()
{
	local tmp=${TMPDIR:-/tmp} name

	trap cleanup EXIT
	trap_signals

	find_server
	install_optional
	choose_user

	# socket paths must fit into some 100 bytes
	[ ${#tmp} -le 30 ] && [ -d "$tmp" ] && [ -w "$tmp" ] || tmp=/tmp
	WORK=$(mktemp -d "$tmp/itemcache.XXXXXX") || die "no temporary directory"
	WORK=$(cd "$WORK" && pwd -P)
	mkdir "$WORK/root" "$WORK/src" "$WORK/tmp" "$WORK/home"

	# nothing of the caller's PostgreSQL, make or perl settings
	for name in $(compgen -e); do
		case $name in
			PG_CONFIG | PG_TEST_* | PGISOLATIONTIMEOUT) ;;
			PG* | TEMP_CONFIG | INITDB_TEMPLATE | MAKEFLAGS | MFLAGS | MAKELEVEL | LANGUAGE | LC_* | PERL5OPT | TESTDIR | TESTDATADIR | TESTLOGDIR)
				unset "$name"
				;;
		esac
	done
	export LANG=C.UTF-8 TMPDIR=$WORK/tmp HOME=$WORK/home
	export TZ=UTC

	say "== $("$PG_CONFIG" --version), as user $RUN_USER, below $WORK"
	copy_installation
	copy_source
	if [ ${#AS_USER[@]} -gt 0 ]; then
		chown -R "$RUN_USER:$(id -g "$RUN_USER")" "$WORK" || die "could not chown $WORK"
	fi
	cd "$WORK/src" || exit 1
	check_installation

	BINDIR=$(run "$PG_CONFIG" --bindir)
	PGXS_DIR=$(cd "$(dirname "$(run "$PG_CONFIG" --pgxs)")/../.." && pwd -P)
	export PATH=$BINDIR:$PATH
	export PG_CONFIG
}

# Build and install; bitcode for the JIT would only take time.
build()
{
	say "== building"
	run_job make -s "-j$(nproc 2>/dev/null || echo 1)" "PG_CONFIG=$PG_CONFIG" with_llvm=no all ||
		die "the build failed"
	run_job make -s "PG_CONFIG=$PG_CONFIG" with_llvm=no install >/dev/null ||
		die "make install failed"
}
