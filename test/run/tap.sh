# tap.sh LOG RC FILES, for the kinds that prove runs: count the assertions in LOG, show the failures.
# Neither a skipped assertion nor one that is marked TODO has passed or failed.

log=$1 rc=$2 files=$3
passed=$(grep -E '^ok [0-9]+' "$log" | grep -vicE '# (skip|todo)\b')
failed=$(grep -E '^not ok [0-9]+' "$log" | grep -vicE '# todo\b')
if [ "$rc" != 0 ]; then
	# a file that died, or ran other assertions than it planned, without a failed one
	failed=$((failed + $(grep -cE '\(Wstat: .*Tests: [0-9]+ Failed: 0\)' "$log")))
	[ $failed -gt 0 ] || failed=1
elif [ "$files" -gt 0 ] && [ $((passed + failed)) = 0 ]; then
	echo "no assertion ran in $files files"
	failed=1
fi
if [ $failed -gt 0 ]; then
	# each failure with what is said about it, then prove's summary, if it came so far
	sed '/^Test Summary Report/,$d' "$log" | grep -viE '^(not )?ok .*# (skip|todo)\b' |
		grep -A 12 -E '^not ok |^psql:|^Bail out|^[^#].* at test/.* line [0-9]+' | grep -vE '^ok [0-9]+' | head -n 300
	sed -n '/^Test Summary Report/,$p' "$log"
	grep -q '^Test Summary Report' "$log" || tail -n 40 "$log"
fi
echo "$passed passed, $failed failed"
