#!/bin/bash
# build_server.sh cassert|cassert18|asan: build PostgreSQL from Debian's source package, put Debian's pgTAP beside it, and print
# its pg_config. It stays in CACHE_DIR and is built again only when it is to be built otherwise.
#
# cassert: 15 with assertions and with the hooks that tell valgrind of palloc and pfree.
# cassert18: the same of 18, whose assertions forbid more.
# asan: 15 with assertions, AddressSanitizer and UndefinedBehaviorSanitizer; the same hooks tell the former of palloc and pfree.
#
# The server is started by the command in SERVER_UNDER, if that is set, such as valgrind.
. "$(dirname "$0")/env.sh" server
kind=$1
prefix=$CACHE_DIR/pg-$kind
log=$CACHE_DIR/build-$kind.log
cflags="-O1 -g -fno-omit-frame-pointer -DUSE_VALGRIND"
suite=bookworm
version=15
hooks=
case $kind in
	cassert) ;;
	cassert18) suite=forky version=18 ;;
	asan)
		# The C library's attributes forbid what PostgreSQL does in places: memcpy(NULL, NULL, 0). With PostgreSQL's own
		# -fwrapv signed overflow is allowed in the server; asan.sh builds the extension without.
		cflags="$cflags -fsanitize=address,undefined -fno-sanitize=nonnull-attribute -fno-sanitize-recover=undefined -I$prefix/hooks"
		hooks=$PWD/test/check/asan_hooks.h ;;
	*) echo "build_server.sh cassert|cassert18|asan" >&2; exit 1 ;;
esac
# zlib and the others would be more packages for nothing that the tests use
configure="--enable-cassert --enable-debug --enable-tap-tests --without-icu --without-readline --without-zlib"
recipe="$configure $cflags $([ -z "$hooks" ] || cat "$hooks")"
export ASAN_OPTIONS=detect_leaks=0             # programs such as initdb leave their memory to exit()

if [ "${2:-}" = build ]; then        # a process of its own: set -e is off in what "if" or "||" judges
	work=$(mktemp -d "$CACHE_DIR/build.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	rm -rf "$prefix"
	mkdir -p "$prefix/hooks/valgrind"
	[ -z "$hooks" ] || cp "$hooks" "$prefix/hooks/valgrind/memcheck.h"
	cd "$work"
	apt_of $suite update
	apt_of $suite source --only-source --download-only postgresql-$version
	apt_of $suite download postgresql-$version-pgtap
	mkdir server
	tar -xf postgresql-${version}_*.orig.tar.* -C server --strip-components=1
	dpkg-deb -x postgresql-$version-pgtap_*.deb pgtap
	cd server
	./configure -q --prefix="$prefix" $configure CFLAGS="$cflags"
	unset MAKELEVEL MAKEFLAGS                    # PostgreSQL makes its headers only if no make is around it
	make -s -j"$(nproc)" install
	make -s -C src/test/isolation install
	cp ../pgtap/usr/share/postgresql/$version/extension/* "$("$prefix/bin/pg_config" --sharedir)/extension/"
	cp src/tools/valgrind.supp "$prefix/"
	mv "$prefix/bin/postgres" "$prefix/bin/postgres.real"
	cat >"$prefix/bin/postgres" <<-'END'
		#!/bin/sh
		# only a server, neither initdb's nor one that is asked for its version
		[ "$1" = -D ] || SERVER_UNDER=
		exec ${SERVER_UNDER:-} "${0%/*}/postgres.real" "$@"
	END
	chmod 755 "$prefix/bin/postgres"
	echo "$recipe" >"$prefix/recipe"
elif [ "$recipe" != "$(cat "$prefix/recipe" 2>/dev/null)" ]; then
	echo "building PostgreSQL ($kind) in $CACHE_DIR: some minutes" >&2
	"$0" "$kind" build >"$log" 2>&1 || { tail -n 20 "$log" >&2; echo "see $log" >&2; exit 1; }
fi
[ "${2:-}" = build ] || echo "$prefix/bin/pg_config"
