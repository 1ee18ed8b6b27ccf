#!/bin/bash
# make check-asan: the core tests and the fuzzer with AddressSanitizer and UndefinedBehaviorSanitizer in server and extension:
# overruns, use after pfree, signed overflow, shifts and casts out of range
. "$(dirname "$0")/run_on.sh" asan
# the server's -fwrapv would allow signed overflow
export COPT="-fno-wrapv -fsanitize=float-cast-overflow,float-divide-by-zero -fno-sanitize-recover=all"
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:log_path=$reports/asan
export UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1:log_path=$reports/ubsan
KINDS=${ASAN_KINDS:-regress isolation} run "sanitizers" test
run "sanitizers fuzz" fuzz
totals
