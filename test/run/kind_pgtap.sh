#!/bin/bash
# pgTAP: test/pgtap/*.pg in one database that has the extension; a file begins a transaction and rolls it back
files=(test/pgtap/*.pg)
[ -e "${files[0]}" ] || files=()
rc=0
if [ ${#files[@]} -gt 0 ]; then
	test/run/with_server.sh bash -c 'psql -qX -v ON_ERROR_STOP=1 -c "CREATE EXTENSION pgtap" -c "CREATE EXTENSION lead_funnel" &&
		pg_prove --verbose "$@"' sh "${files[@]}" >"$OUT/output" 2>&1 || rc=$?
else
	: >"$OUT/output"
fi
cp "$WORK"/server.*/log "$OUT/postmaster.log" 2>/dev/null
. test/run/tap.sh "$OUT/output" $rc ${#files[@]}
