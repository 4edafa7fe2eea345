# shellcheck shell=bash
#
# Misses of traces of several kinds, replayed by the store alone (t/store), as a
# lookup uses it, in 4 to 256 partitions, against those of a textbook S3-FIFO that
# holds as many items: at a tenth and a fifth of the keys that are wanted more than
# once.  hit_ratio does it by SQL, for one trace.

build_store_test

# 2 MB for a partition; rows of 2000 bytes, a thousand in each
# shellcheck disable=SC2046
run "$STORE_TEST" 1 2000 $(rounds "8 32" "8 32 128 512") >"$WORK/traces" ||
	grep -q '^not ok' "$WORK/traces" || die "$SCENARIO: failed" "$(tail -n 5 "$WORK/traces")"
number=0
while IFS='|' read -r partitions percent trace misses textbook; do
	number=$((number + 1))
	begin_values "traces_$number"
	add cache "$misses" misses
	add textbook "$textbook" misses
	report "$partitions partitions, $percent %, ${trace#a }" "textbook S3-FIFO" at_most 1.01 cache textbook
done < <(sed -n 's/.* - \([0-9]*\) partitions, [0-9]* items, \([0-9]*\) % of the keys, \(.*\): \([0-9]*\) misses, S3-FIFO.s \([0-9]*\) .*/\1|\2|\3|\4|\5/p' "$WORK/traces")
[ $number -gt 0 ] || die "$SCENARIO: no trace" "$(tail -n 5 "$WORK/traces")"
