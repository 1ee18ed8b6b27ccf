#!/bin/bash
# pg_regress: test/sql/*.sql, compared with expected/*.out
. test/run/pg_regress.sh kind-regress
