#!/bin/bash
# find_pg_config.sh: print the pg_config to build and test with: $PG_CONFIG if given, else the newest PostgreSQL that has
# both server headers and a server, else the one in PATH. Fails if there is none.

complete()
{
	# Debian has pgxs.mk in its client package, too: only the headers tell
	[ -e "$("$1" --pgxs 2>/dev/null)" ] && [ -e "$("$1" --includedir-server)/postgres.h" ] && [ -x "$("$1" --bindir)/postgres" ]
}

if [ -n "${PG_CONFIG:-}" ]; then
	candidates=$PG_CONFIG
else
	candidates="$(ls -d /usr/lib/postgresql/*/bin/pg_config /usr/pgsql-*/bin/pg_config 2>/dev/null | sort -rV) pg_config"
fi
for c in $candidates; do
	if complete "$c"; then
		command -v "$c"
		exit
	fi
done
exit 1
