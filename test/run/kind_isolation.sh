#!/bin/bash
# isolation: test/specs/*.spec, compared with expected/*.out
. test/run/pg_regress.sh kind-isolation
