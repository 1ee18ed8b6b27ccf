#!/bin/bash
# make check-valgrind: the regression tests with each server under valgrind, which alone sees the use of undefined bytes. What
# PostgreSQL's own list of suppressions does not have is a failure, whosever it is.
. "$(dirname "$0")/run_on.sh" cassert
SERVER_UNDER="valgrind --quiet --leak-check=no --num-callers=25 --suppressions=$(dirname "$PG_CONFIG")/../valgrind.supp"
export SERVER_UNDER="$SERVER_UNDER --log-file=$reports/%p"
KINDS=${VALGRIND_KINDS:-regress} run "valgrind" test
totals
