#!/bin/bash
# build_server.sh: build PostgreSQL 15 from Debian's source package, with assertions and the hooks for valgrind, and put
# Debian's pgTAP beside it; print its pg_config. It is kept in CACHE_DIR and not built again while it is there.
#
# Its postgres is started by the command in SERVER_UNDER, if that is set: valgrind, or env with a library to preload.
. "$(dirname "$0")/env.sh" server
prefix=$CACHE_DIR/pg-cassert
log=$CACHE_DIR/build-server.log

if [ "${1:-}" = build ]; then        # a process of its own: set -e is off in what "if" or "||" judges
	work=$(mktemp -d "$CACHE_DIR/build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	rm -rf "$prefix"
	cd "$work"
	apt_of bookworm update
	apt_of bookworm source --only-source --download-only postgresql-15
	apt_of bookworm download postgresql-15-pgtap
	mkdir server
	tar -xf postgresql-15_*.orig.tar.* -C server --strip-components=1
	dpkg-deb -x postgresql-15-pgtap_*.deb pgtap
	cd server
	./configure -q --prefix="$prefix" --enable-cassert --enable-debug --enable-tap-tests \
		--without-icu --without-readline --without-zlib CFLAGS="-O1 -g -fno-omit-frame-pointer -DUSE_VALGRIND"
	make -s -j"$(nproc)" install
	make -s -C src/test/isolation install
	cp ../pgtap/usr/share/postgresql/15/extension/* "$("$prefix/bin/pg_config" --sharedir)/extension/"
	cp src/tools/valgrind.supp "$prefix/"
	mv "$prefix/bin/postgres" "$prefix/bin/postgres.real"
	cat >"$prefix/bin/postgres" <<-'END'
		#!/bin/sh
		# only a server, neither initdb's nor one that is asked for its version
		[ "$1" = -D ] || SERVER_UNDER=
		exec ${SERVER_UNDER:-} "${0%/*}/postgres.real" "$@"
	END
	chmod 755 "$prefix/bin/postgres"
	touch "$prefix/.complete"
elif [ ! -e "$prefix/.complete" ]; then
	echo "building PostgreSQL with assertions in $CACHE_DIR: some minutes" >&2
	"$0" build >"$log" 2>&1 || { tail -n 20 "$log" >&2; echo "see $log" >&2; exit 1; }
fi
[ "${1:-}" = build ] || echo "$prefix/bin/pg_config"
