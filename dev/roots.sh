# shellcheck shell=bash
#
# roots.sh
#	Debians in directories, for dev/matrix, dev/package and dev/image: made by
#	debootstrap from the mirror that this machine's own apt sources name, and
#	kept below $CACHE (ITEMCACHE_CACHE, else /var/cache/itemcache):
#
#	$CACHE/rootNN	a Debian with PostgreSQL NN and its development files, of
#					the first suite that has it
#	$CACHE/bare		the machine's own suite with nothing in it
#	$CACHE/suites	which suite has which major, looked up once a week
#	$CACHE/log		how they were made
#
#	To make one anew remove its directory.  Needs lib.sh, root, and Debian or
#	Ubuntu; the caller holds lock_roots().

CACHE=${ITEMCACHE_CACHE:-/var/cache/itemcache}
MIRROR=
KEYRING=
REASON=

# Sets WORK, with what is in the work tree in $WORK/src; one at a time.
lock_roots()
{
	[ "$(id -u)" -eq 0 ] || die "making Debian roots needs root"
	command -v apt-get >/dev/null || die "this needs Debian or Ubuntu"
	trap cleanup EXIT
	trap_signals
	umask 022
	mkdir -p "$CACHE/log" || die "could not make $CACHE"
	exec 9>"$CACHE/lock"
	flock --nonblock 9 || die "another script is at work in $CACHE"
	WORK=$(mktemp -d "$CACHE/tmp.XXXXXX") && chmod 1777 "$WORK" || die "no temporary directory"
	mkdir "$WORK/src"
	copy_source
}

# ---------------------------------------------------------------------------
# Where the packages come from
# ---------------------------------------------------------------------------

need_tools()
{
	local missing=() tool

	for tool in debootstrap wget; do
		command -v $tool >/dev/null || missing+=("$tool")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	say "== installing ${missing[*]}"
	apt apt-get -q update && apt apt-get -q -y install --no-install-recommends "${missing[@]}" ||
		die "could not install: ${missing[*]}"
}

# Sets MIRROR and KEYRING from the machine's own sources.
find_mirror()
{
	local vendor line

	[ -z "$MIRROR" ] || return 0
	need_tools
	vendor=$(. /etc/os-release && printf '%s' "$ID")
	line=$(apt-get indextargets \
		--format '$(CREATED_BY)|$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)|$(SIGNED_BY)' |
		grep -i "^Packages|$vendor|$vendor|main|" | head -n 1)
	MIRROR=$(printf '%s' "$line" | cut -d '|' -f 5)
	KEYRING=$(printf '%s' "$line" | cut -d '|' -f 6)
	[ -n "$MIRROR" ] || die "apt knows no mirror of $vendor" \
		"Run apt-get update, and see that the distribution itself is among the sources."
	[ -f "$KEYRING" ] || KEYRING=/usr/share/keyrings/$vendor-archive-keyring.gpg

	# debootstrap and wget look into the environment only
	if [ -z "${http_proxy:-}" ]; then
		eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
		[ -z "${http_proxy:-}" ] || export http_proxy
	fi
}

# Lines "MAJOR SUITE" of what the mirror has; looked up once a week.
write_suites()
{
	local suites suite arch list

	find "$CACHE/suites" -mtime -7 2>/dev/null | grep -q . && return 0
	arch=$(dpkg --print-architecture)
	say "== looking for PostgreSQL at $MIRROR"
	suites=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
	case $(. /etc/os-release && printf '%s' "$ID") in
		ubuntu) suites="$suites jammy noble plucky questing" ;;
		*) suites="$suites bookworm trixie forky sid experimental" ;;
	esac

	# not to know a suite is no reason to call a major unavailable
	for suite in $suites; do
		list=dists/$suite/main/binary-$arch/Packages.xz
		if ! wget -q -S -O "$WORK/packages" "${MIRROR%/}/$list" 2>"$WORK/answer"; then
			# the mirror need not have the suite
			grep -q '^ *HTTP/[0-9.]* 404' "$WORK/answer" && continue
			die "could not read $list of $MIRROR" "$(tail -n 3 "$WORK/answer")"
		fi
		xz -dc "$WORK/packages" >"$WORK/packages.txt" || die "could not read $list of $MIRROR"
		sed -n "s/^Package: postgresql-\([0-9][0-9]*\)$/\1 $suite/p" "$WORK/packages.txt"
	done >"$WORK/suites"
	rm -f "$WORK/packages" "$WORK/packages.txt" "$WORK/answer"
	[ -s "$WORK/suites" ] || die "there is no PostgreSQL at $MIRROR"
	awk '!seen[$0]++' "$WORK/suites" >"$CACHE/suites"
}

# ---------------------------------------------------------------------------
# A Debian with one PostgreSQL
# ---------------------------------------------------------------------------

# in_root ROOT COMMAND...: in namespaces of its own, so that neither a mount
# nor a process outlives it.  Its /tmp is our $WORK, with the source in src.
# With LAYER set ROOT is only read, and what is written goes into that directory.
in_root()
{
	ROOT=$1 WORK=$WORK LAYER=${LAYER:-} run_job unshare --mount --pid --ipc --fork --kill-child \
		--propagation private -- /bin/bash -e -c '
			if [ -n "$LAYER" ]; then
				mkdir -p "$LAYER/upper" "$LAYER/work" "$LAYER/root"
				mount -t overlay overlay "$LAYER/root" -o \
					"lowerdir=$ROOT,upperdir=$LAYER/upper,workdir=$LAYER/work"
				ROOT=$LAYER/root
			fi
			mount -t proc proc "$ROOT/proc"
			mount --rbind /dev "$ROOT/dev"
			mount -t tmpfs -o mode=1777 tmpfs "$ROOT/dev/shm"
			mount --bind "$WORK" "$ROOT/tmp"
			root=$ROOT
			unset ROOT WORK LAYER
			settings=()
			for name in $(compgen -e ITEMCACHE_); do
				settings+=("$name=${!name}")
			done
			exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
				LANG=C.UTF-8 ${http_proxy:+http_proxy="$http_proxy"} \
				${PROVE_FLAGS:+PROVE_FLAGS="$PROVE_FLAGS"} ${COPT:+COPT="$COPT"} \
				"${settings[@]}" \
				chroot "$root" "$@"' in_root "${@:2}"
}

# bare_root SUITE ROOT: a Debian with nothing in it
bare_root()
{
	local suite=$1 root=$2 script=

	rm -rf --one-file-system "$root" && mkdir -p "$root" || return 1

	# an older debootstrap does not know newer suites, which are made alike
	if [ ! -e "/usr/share/debootstrap/scripts/$suite" ]; then
		script=sid
		[ "$(. /etc/os-release && printf '%s' "$ID")" != ubuntu ] || script=gutsy
		script=/usr/share/debootstrap/scripts/$script
	fi
	# shellcheck disable=SC2086
	run_job unshare --mount --pid --fork --kill-child --propagation private --mount-proc -- \
		debootstrap --variant=minbase ${KEYRING:+--keyring="$KEYRING"} \
		"$suite" "$root" "$MIRROR" $script || return 1

	# no services in there; and a mirror of old snapshots is good enough,
	# signatures being checked all the same
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	cat >"$root/etc/apt/apt.conf.d/99itemcache" <<-CONF
		Acquire::Check-Valid-Until "false";
		Acquire::Check-Date "false";
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
	CONF
	[ -e "$root/etc/hosts" ] || printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
}

# make_root MAJOR SUITE ROOT; the directory appears when it is complete
make_root()
{
	local major=$1 suite=$2 root=$3 new=$3.new extra=

	# experimental is no Debian by itself, but packages on top of sid, of which
	# we want nothing but this source's
	if [ "$suite" = experimental ]; then
		suite=sid
		extra=experimental
	fi
	bare_root "$suite" "$new" || return 1
	if [ -n "$extra" ]; then
		printf 'deb %s %s main\n' "$MIRROR" "$extra" >"$new/etc/apt/sources.list.d/$extra.list"
		printf 'Package: src:postgresql-%s\nPin: release a=%s\nPin-Priority: 990\n' \
			"$major" "$extra" >"$new/etc/apt/preferences.d/$extra"
	fi
	# shellcheck disable=SC2016
	in_root "$new" sh -e -c '
		export DEBIAN_FRONTEND=noninteractive
		apt-get -q update
		apt-get -q -y install build-essential perl libipc-run-perl \
			"postgresql-$1" "postgresql-server-dev-$1"
		apt-get -q clean' sh "$major" || return 1
	printf '%s\n' "${extra:-$suite}" >"$new/etc/itemcache-suite"
	mv "$new" "$root"
}

# Make sure that there is $CACHE/rootMAJOR.  If not, REASON says why, and the
# status is 1 if no suite has that major, 2 if making it failed.
need_root()
{
	local major=$1 root=$CACHE/root$1 log=$CACHE/log/$1.root suite

	[ ! -d "$root" ] || return 0
	find_mirror
	write_suites
	suite=$(awk -v major="$major" '$1 == major { print $2; exit }' "$CACHE/suites")
	if [ -z "$suite" ]; then
		REASON="in no suite of $MIRROR"
		return 1
	fi
	say "== making a root of $suite for PostgreSQL $major (log: $log)"
	make_root "$major" "$suite" "$root" >"$log" 2>&1 && return 0
	tail -n 20 "$log"
	REASON="no root could be made (log: $log)"
	return 2
}

# Make sure that there is $CACHE/bare.
need_bare()
{
	local suite log=$CACHE/log/bare.root

	[ ! -d "$CACHE/bare" ] || return 0
	find_mirror
	suite=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
	say "== making a bare root of $suite (log: $log)"
	bare_root "$suite" "$CACHE/bare.new" >"$log" 2>&1 &&
		in_root "$CACHE/bare.new" apt-get -q update >>"$log" 2>&1 &&
		mv "$CACHE/bare.new" "$CACHE/bare" && return 0
	tail -n 20 "$log"
	return 1
}

# What root MAJOR has: "VERSION of SUITE".
version_in_root()
{
	local root=$CACHE/root$1

	printf '%s of %s' "$(chroot "$root" dpkg-query -W -f '${Version}' "postgresql-$1")" \
		"$(cat "$root/etc/itemcache-suite" 2>/dev/null || (. "$root/etc/os-release" && printf '%s' "${VERSION_CODENAME:-$ID}"))"
}
