#!/bin/bash
# files: what is listed twice agrees, and no test has been forgotten
passed=0
failed=0

same()                # same WHAT LEFT RIGHT: two lists of lines
{
	if diff <(sort -u <<<"$2") <(sort -u <<<"$3") >"$OUT/diff"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not the same: $1"
		cat "$OUT/diff"
	fi
}

stems() { for f in "$@"; do [ ! -e "$f" ] || basename "${f%.*}"; done; }

control=$(sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" lead_funnel.control)
meta=$(perl -MJSON::PP -0777 -ne '$m = decode_json $_; print "$_\n" for $m->{version}, $m->{provides}{lead_funnel}{version}' META.json)
same "the version in lead_funnel.control and in META.json" "$control" "$meta"
same "src/*.c and OBJS in the Makefile" "$(stems src/*.c)" "$(sed -n 's,^\tsrc/\(.*\)\.o.*,\1,p' Makefile)"

tests=$(stems test/sql/*.sql test/specs/*.spec)
# a second variant of an output is called NAME_1.out
outputs=$(stems expected/*.out | while read -r o; do grep -qxF "$o" <<<"$tests" && echo "$o" || echo "${o%_[0-9]}"; done)
same "tests and files in expected/" "$tests" "$outputs"
same "expected/ is shared: a name that both test/sql and test/specs have, and none" "" "$(uniq -d <<<"$(sort <<<"$tests")")"

echo "$passed passed, $failed failed"
