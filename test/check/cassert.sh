#!/bin/bash
# make check-cassert: the core tests on PostgreSQL 18 and 15 with assertions, then some regression tests with every cache thrown
# away whenever that may happen: what still refers to an entry of the system caches after an invalidation finds nonsense there.
# CASSERT_KINDS="regress isolation pgtap tap" and DISCARD_REGRESS="ddl partitions" select.
#
# With debug_discard_caches a row costs a second, CREATE EXTENSION a minute, all tests hours. Those with few rows are run that
# attach by all sorts of columns, create triggers both ways, and change column types below a funnel.
. "$(dirname "$0")/run_on.sh" cassert18
KINDS=${CASSERT_KINDS:-regress isolation} run "assertions 18" test
on_server cassert
KINDS=${CASSERT_KINDS:-regress isolation} run "assertions 15" test
export SETTINGS="debug_discard_caches=1 autovacuum=off"
tests=${DISCARD_REGRESS:-changed_types update_trigger}
export MAKEFLAGS="REGRESS=${tests// /\\ }"
KINDS=regress run "debug_discard_caches" test
totals
