#!/bin/bash
# bench.sh: test/bench/bench.pl against a throw-away server that is set up like one in use; started by prepare.sh
set -euo pipefail
cat >>"$CONF" <<END
fsync = on
wal_level = replica
autovacuum = off
shared_buffers = ${BENCH_BUFFERS:-1GB}
huge_pages = ${BENCH_HUGE_PAGES:-off}
max_wal_size = 16GB
checkpoint_timeout = 1h
maintenance_work_mem = 256MB
max_connections = 60
jit = off
max_parallel_workers_per_gather = 0
END
exec test/run/with_server.sh perl test/bench/bench.pl
