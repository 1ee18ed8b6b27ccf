#!/bin/bash
# demo.sh: a CRM's lead table becomes a funnel; a year of leads, and what can be asked of it. Needs PGHOST, PGUSER and
# PGDATABASE of an empty database on a server that has the extension; less than a minute. make demo provides all of it.
set -euo pipefail
cd "$(dirname "$0")/.."

# on standard input, psql shows errors as it does to people; the tour stops at those that it does not expect
psql -X -v ON_ERROR_STOP=1 -v VERBOSITY=default -v SHOW_CONTEXT=never -P pager=off <demo/tour.sql 2>&1

echo
[ -n "${KEEP:-}" ] || echo "This server stops now; KEEP=1 make demo leaves it running."
