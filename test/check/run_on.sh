# run_on.sh KIND, sourced by the checks that run tests on a server of build_server.sh: from here on prepare.sh works with that
# server, run() counts, totals() ends the check.
. "$(dirname "${BASH_SOURCE[0]}")/env.sh" server

# on_server KIND: from here on prepare.sh works with that server. It puts the extension into the server's own folder: one check
# at a time.
on_server()
{
	PG_CONFIG=$(test/check/build_server.sh "$1")
	export PG_CONFIG
	exec 9>"$CACHE_DIR/pg-$1.lock"
	flock 9
}
on_server "$1"

# Where the servers' user, whoever that is, puts what a sanitizer or valgrind finds, a file a process
reports=$(mktemp -d /tmp/lead_funnel_reports.XXXXXX)
chmod 1777 "$reports"
trap 'rm -rf "$reports"' EXIT

# What a server's log says of broken assertions, memory, and references that leak
broken='TRAP:|runtime error:|AddressSanitizer|PANIC:|terminated by signal (4|6|7|8|11):|problem in alloc set|detected write past chunk end|(leak|not closed): |not owned by'
passed=0
failed=0

# run NAME TARGET: TARGET, which prepare.sh knows, passes if nothing of it fails and nothing is reported
run()
{
	local rc=0 totals found log=$CACHE_DIR/${1// /_}.log
	test/run/prepare.sh "$2" >"$log" 2>&1 9>&- || rc=$?
	totals=$(grep -xE '[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1 || :)
	found=$(find "$reports" -type f -size +0 -exec cat {} +
		[ "$2" != test ] || find test_output -name '*.log' -exec grep -hE -A 3 "$broken" {} + || :)
	if [ $rc = 0 ] && [ -z "$found" ]; then
		passed=$((passed + 1))
		echo "ok      $1${totals:+: $totals}"
	else
		failed=$((failed + 1))
		echo "not ok  $1${totals:+: $totals}"
		[ $rc = 0 ] || head -n 200 "$log"
		[ -z "$found" ] || printf '%s\n' "----- reported" "$found" | head -n 200
	fi
	rm -rf "${reports:?}"/*
}

totals()
{
	echo "$passed passed, $failed failed"
	[ $failed = 0 ]
}
