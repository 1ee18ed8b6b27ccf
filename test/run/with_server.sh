#!/bin/bash
# with_server.sh COMMAND...: run COMMAND against a throw-away server that listens on a private Unix socket only, with
# PGHOST, PGUSER, PGDATABASE and PATH set. With KEEP=1 the server is left running afterwards.
set -euo pipefail
dir=$(mktemp -d "$WORK/server.XXXX")
export PGHOST=$dir PGUSER=postgres PGDATABASE=lead_funnel PATH=$BINDIR:$PATH

initdb -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/initdb.log" || { cat "$dir/initdb.log"; exit 1; }
cat "$CONF" - >>"$dir/data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$dir'
END
trap '[ -n "${KEEP:-}" ] || pg_ctl -s -D "$dir/data" -m immediate stop' EXIT
pg_ctl -s -w -D "$dir/data" -l "$dir/log" start || { cat "$dir/log"; exit 1; }
createdb "$PGDATABASE"

rc=0
"$@" || rc=$?
if [ -n "${KEEP:-}" ]; then
	touch "$WORK/kept"
	cat <<END

The server is still running. To connect:
    $BINDIR/psql -h $PGHOST -U $PGUSER $PGDATABASE
To stop it and remove all of it:
    ${AS:-}$BINDIR/pg_ctl -D $dir/data -m fast stop; rm -rf $WORK
END
fi
exit $rc
