# pg_regress.sh TARGET, for the kinds that pg_regress runs: make TARGET, count its tests, show what differs.
# A test that did not run, because the server was not there or died, has failed.

log=$OUT/output
# seconds for a step of a specification: one that hangs fails soon
export PGISOLATIONTIMEOUT=60
rc=0
# pg_regress gives up at the first test without an expected output: an empty one makes that test fail, and no other.
cp -r expected "$OUT/expected"
for t in test/sql/*.sql test/specs/*.spec; do
	t=$OUT/expected/$(basename "${t%.*}").out
	[ -e "$t" ] || : >"$t"
done
make --no-print-directory -s with_llvm=no PG_CONFIG="$PG_CONFIG" OUT="$OUT" CONF="$CONF" "$1" >"$log" 2>&1 || rc=$?
rm -rf "$OUT/instance" "$OUT/expected"

tests=$(sed -n 's/^tests: *//p' "$log" | wc -w)
# up to PostgreSQL 15 "test NAME ... ok", from 16 on "ok 1 - NAME"
passed=$(grep -cE '^(ok [0-9]+ +[-+] |.* \.\.\. +ok\b)' "$log")
failed=$((tests - passed))
[ $rc = 0 ] || [ $failed -gt 0 ] || failed=1
if [ $failed -gt 0 ]; then
	cat "$log"
	[ -e "$OUT/regression.diffs" ] && head -n 300 "$OUT/regression.diffs" || tail -n 40 "$OUT/log/postmaster.log"
fi
echo "$passed passed, $failed failed"
