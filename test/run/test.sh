#!/bin/bash
# test.sh: every kind of test, two at a time, each even if another one failed; then a line for each and the totals.
# Started by prepare.sh; KINDS="regress tap" selects.
#
# A kind is an executable test/run/kind_NAME.sh. It runs at the root of the built tree, with PG_CONFIG and BINDIR, CONF
# (settings for its servers), OUT (a folder of its own; its files end up in test_output/NAME) and with_server.sh. It prints
# what a reader needs to know of its failures, and last "N passed, N failed". Files without a single test are a failure.
set -uo pipefail
unset KEEP
rm -rf test_output

run_kind()
{
	local rc=0 totals
	export OUT=$WORK/out/$1
	mkdir "$OUT"
	"test/run/kind_$1.sh" >"$OUT/report" 2>&1 || rc=$?
	totals=$(tail -n 1 "$OUT/report" | grep -xE '[0-9]+ passed, [0-9]+ failed') || totals="0 passed, 1 failed"
	# a kind that failed without saying what is one failure
	[ $rc = 0 ] || totals=${totals/%, 0 failed/, 1 failed}
	echo "$totals" >"$OUT/totals"
	case $totals in *", 0 failed") ;; *) echo "----- $1"; cat "$OUT/report"; esac
}
export -f run_kind

kinds=${KINDS:-$(basename -s .sh test/run/kind_*.sh | sed 's/^kind_//')}
printf '%s\n' $kinds | xargs -n 1 -P 2 bash -c 'run_kind "$1"' sh

for k in $kinds; do
	printf '%-10s %s\n' "$k" "$(cat "$WORK/out/$k/totals")"
done
cat "$WORK"/out/*/totals | awk '{ ok += $1; bad += $3 } END { print ok + 0 " passed, " bad + 0 " failed"; exit bad > 0 || ok == 0 }'
