#!/bin/bash
# make coverage: which lines of src/*.c "make test" runs: a line for each file, and the total. test_output/coverage has it as
# HTML, and the list "untested". Backends that a test kills do not count.
. "$(dirname "$0")/env.sh" coverage
export COPT="--coverage -O0"
exec test/run/prepare.sh coverage
