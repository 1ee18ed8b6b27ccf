#!/bin/bash
# make lint: compilers, clang-tidy (.clang-tidy), cppcheck, pgindent, shellcheck and perl -c over the sources; fails on any finding
. "$(dirname "$0")/env.sh" lint
pg_config=$(test/run/find_pg_config.sh)
flags=(-std=gnu99 -D_GNU_SOURCE -Isrc -isystem "$("$pg_config" --includedir-server)" '-DLEAD_FUNNEL_VERSION="lint"')
warnings=(-Wall -Wextra -Wshadow -Wmissing-prototypes -Wno-unused-parameter -Wno-missing-field-initializers)
scripts=(.ci/run demo/*.sh test/run/*.sh test/check/*.sh)
passed=0
failed=0

check()               # check NAME COMMAND...: a finding is a failure or any output
{
	local out
	if out=$("${@:2}" 2>&1) && [ -z "$out" ]; then
		passed=$((passed + 1))
		echo "ok      $1"
	else
		failed=$((failed + 1))
		printf '%s\n' "not ok  $1" "$out"
	fi
}

# with -O2, since some warnings need the optimizer
compile() { printf '%s\n' src/*.c | xargs -P 2 -I{} "$1" "${flags[@]}" "${warnings[@]}" -O2 -c -o /dev/null {}; }

tidy()                # quiet but for findings
{
	printf '%s\n' src/*.c | xargs -P 2 -I{} clang-tidy --quiet {} -- "${flags[@]}" 2>"$CACHE_DIR/clang-tidy.log" ||
		grep -E 'error' "$CACHE_DIR/clang-tidy.log"
}

# Without the server's headers it is a matter of a second; the macros that it must know to go on are given. clang-tidy
# follows the paths on which a pointer is null, cppcheck guesses.
cppcheck_()
{
	cppcheck --quiet --std=c99 --language=c --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		-Isrc --suppress=missingInclude --suppress=nullPointerRedundantCheck "-Dforeach(c,l)=while((c=next(l)))" \
		"-DPG_FUNCTION_INFO_V1(f)=extern int f##_info" "-DPG_FUNCTION_ARGS=FunctionCallInfo fcinfo" \
		-DPG_VERSION_NUM=150000 -DPG_MODULE_MAGIC= -DHAVE_INT128 "-Dereport(level,...)=exit(1)" \
		"-Delog(level,...)=exit(1)" src
}

# Debian has pgindent from PostgreSQL 17 on only: it comes from trixie, and its C library with it
# shellcheck disable=SC2120
pgindent_()
{
	local dir=$CACHE_DIR/pgindent
	if [ ! -e "$dir/complete" ]; then
		(mkdir -p "$dir" && cd "$dir" && apt_of trixie update && apt_of trixie download postgresql-server-dev-17 libc6) || return
		for deb in "$dir"/*.deb; do dpkg-deb -x "$deb" "$dir/root"; done
		printf '#!/bin/sh\nl=%s\nexec $l/ld-linux* --library-path $l %s/pg_bsd_indent "$@"\n' "$dir"/root/usr/lib/*-linux-gnu \
			"$dir/root/usr/lib/postgresql/17/bin" >"$dir/pg_bsd_indent"
		chmod 755 "$dir/pg_bsd_indent"
		touch "$dir/complete"
	fi
	# a typedef that pgindent does not know makes it see an operator in each star: ours, and those that our macros make
	{
		cat "$dir/root/usr/share/postgresql/17/typedefs.list"
		sed -nE 's/^typedef (struct|enum|union) (\w+)$/\2/p; s/^typedef ((struct|enum|union) )?\w+ (\w+);$/\3/p; s/^typedef .*\(\*(\w+)\).*/\1/p' src/*.[ch]
	} >"$dir/typedefs"
	perl "$dir/root/usr/lib/postgresql/17/bin/pgindent" --indent="$dir/pg_bsd_indent" --typedefs="$dir/typedefs" "$@" src
}

perl_syntax()
{
	local f lib=${PERL5LIB:-$(dirname "$("$pg_config" --pgxs)")/../test/perl}
	for f in test/run/*.pl test/t/*.pl test/*/*.pm; do
		perl -I "$lib" -Itest/torture -c "$f" 2>&1 | grep -v 'syntax OK$' || :
	done
}

if [ "${1:-}" = indent ]; then
	pgindent_
	exit
fi
check "gcc" compile gcc
check "clang" compile clang
check "clang-tidy" tidy
check "cppcheck" cppcheck_
check "pgindent (make indent mends it)" pgindent_ --diff
# 2046: lists of packages are split on purpose; 2038: our own file names; 2164: env.sh sets -e
check "shellcheck" shellcheck -s bash -x -P SCRIPTDIR -S warning -e SC2046,SC2038,SC2164 "${scripts[@]}"
check "perl -c" perl_syntax
echo "$passed passed, $failed failed"
[ $failed = 0 ]
