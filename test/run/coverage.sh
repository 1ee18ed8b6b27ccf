#!/bin/bash
# coverage.sh: test.sh, then what of src/ it ran; started by prepare.sh, with the objects built for gcov
set -uo pipefail
rc=0
test/run/test.sh || rc=$?

out=$WORK/out/coverage
mkdir "$out"
lcov --quiet --capture --no-external --directory src --base-directory . --output-file "$out/all.info" \
	2> >(grep -v '^Subroutine .* redefined at ' >&2) || exit
lcov --quiet --extract "$out/all.info" "$PWD/src/*.c" --output-file "$out/info" || exit
genhtml --quiet --prefix "$PWD" --output-directory "$out" "$out/info" || exit
awk -F'[:,]' -v tree="$PWD/" '
	/^SF:/ { file = substr($2, length(tree) + 1); names[++files] = file }
	/^DA:/ { lines[file]++; ran[file] += $3 > 0; if ($3 == 0) print file ":" $2 > untested }
	function show(name, ran, lines) { printf "%-24s %5d of %5d lines %6.1f %%\n", name, ran, lines, 100 * ran / lines }
	END {
		for (i = 1; i <= files; i++)
		{
			show(names[i], ran[names[i]], lines[names[i]])
			all += lines[names[i]]
			all_ran += ran[names[i]]
		}
		show("total", all_ran, all)
	}' untested="$WORK/untested" "$out/info"
while IFS=: read -r file line; do
	echo "$file:$line:$(sed -n "${line}p" "$file")"
done <"$WORK/untested" >"$out/untested"
rm "$out/all.info"
exit $rc
