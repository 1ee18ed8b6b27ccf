#!/bin/bash
# prepare.sh demo|test|coverage|...: build a copy of this tree, put the extension where a throw-away server finds it, and go on
# there with demo.sh or test.sh as an ordinary user: PostgreSQL refuses root and cannot read root's folders.
# Of the tree only test_output/ is written; nothing is installed on the system if the server can do without.
# SETTINGS="name=value ..." are further settings for the servers.
set -euo pipefail
cd "$(dirname "$0")/../.."
tree=$PWD

test/run/packages.sh "$1"
pg_config=$(test/run/find_pg_config.sh) ||
	{ echo "no PostgreSQL with server and server headers${PG_CONFIG:+ at $PG_CONFIG}" >&2; exit 1; }

# What the caller's environment says of servers, time zone and language does not count here; TMPDIR neither: a Unix
# socket needs a short path, and the ordinary user must be able to enter it.
unset ${!PG@} ${!LC_@}
export PG_CONFIG=$pg_config LC_ALL=C.UTF-8 TZ=UTC
BINDIR=$("$PG_CONFIG" --bindir)
WORK=$(mktemp -d /tmp/lead_funnel.XXXXXX)
CONF=$WORK/server.conf
export BINDIR WORK CONF HOME=$WORK TMPDIR=$WORK/tmp

leave()
{
	[ ! -e "$WORK/kept" ] || return 0
	# only a run that was cut short has left a server behind
	find "$WORK" -name postmaster.pid -exec head -qn 1 {} + | xargs -r sh -c 'kill -QUIT "$@" 2>/dev/null; sleep 1' sh || :
	rm -rf "$WORK"
	[ -z "${huge_pages_before:-}" ] || echo "$huge_pages_before" >/proc/sys/vm/nr_hugepages
}
trap leave EXIT

mkdir "$WORK/tree" "$WORK/out" "$TMPDIR"
tar --format=posix --exclude=./.git --exclude=./test_output -cf - . | tar -xf - -C "$WORK/tree"
cd "$WORK/tree"
make="make --no-print-directory -s with_llvm=no PG_CONFIG=$PG_CONFIG"     # without LLVM no clang is needed
$make -j2 all

printf '%s\n' fsync=off jit=off wal_level=logical max_prepared_transactions=10 timezone=UTC log_timezone=UTC ${SETTINGS:-} >"$CONF"
can() { "$BINDIR/postgres" --describe-config | grep "^$1" >/dev/null; }     # -q would break the pipe
if can extension_control_path; then            # PostgreSQL 18
	$make install DESTDIR="$WORK/stage"
	cat >>"$CONF" <<-END
		extension_control_path = '$WORK/stage$("$PG_CONFIG" --sharedir):\$system'
		dynamic_library_path = '$WORK/stage$("$PG_CONFIG" --pkglibdir):\$libdir'
	END
elif can extension_destdir; then               # Debian's 13 to 17
	$make install DESTDIR="$WORK/stage"
	echo "extension_destdir = '$WORK/stage'" >>"$CONF"
else
	echo "this PostgreSQL finds extensions in its own folder only: installing there"
	$make install
fi

rc=0
if [ "$(id -u)" = 0 ]; then
	[ "$1" != bench ] || . test/run/huge_pages.sh
	user=postgres
	if ! id -u $user >/dev/null 2>&1; then
		user=lead_funnel_test
		id -u $user >/dev/null 2>&1 || useradd --system $user
	fi
	chown -R "$user:" "$WORK"
	export AS="runuser -u $user -- "           # for what with_server.sh tells root
	runuser -u "$user" -- "test/run/$1.sh" || rc=$?
else
	"test/run/$1.sh" || rc=$?
fi

if [ "$1" = test ] || [ "$1" = coverage ]; then
	rm -rf "$tree/test_output"
	cp -rP "$WORK/out" "$tree/test_output"
fi
exit $rc
