#!/bin/bash
# TAP: test/t/*.pl in Perl, each with servers of its own
rc=0
export TEMP_CONFIG=$CONF PG_TEST_PORT_DIR=$OUT/ports
make --no-print-directory -s with_llvm=no PG_CONFIG="$PG_CONFIG" PROVE_FLAGS="-j2 --verbose" kind-tap >"$OUT/output" 2>&1 || rc=$?
cp -r tmp_check/log "$OUT/" 2>/dev/null
rm -rf "$OUT/ports"
. test/run/tap.sh "$OUT/output" $rc "$(sed -n 's/^tests: *//p' "$OUT/output" | wc -w)"
