# huge_pages.sh: sourced by prepare.sh for the bench, as root. Reserves huge pages for the server's shared memory, as a server in
# use has them: without, each new session spends most of a short run on page faults, in any table, and the more tables the more.
# They are given back at the end. BENCH_HUGE_PAGES=off does without.
export BENCH_HUGE_PAGES=${BENCH_HUGE_PAGES:-on}
if [ "$BENCH_HUGE_PAGES" = on ]; then
	BENCH_HUGE_PAGES=off
	page=$(awk '/^Hugepagesize:/ { print $2 }' /proc/meminfo)
	if [ -n "$page" ] && [ -w /proc/sys/vm/nr_hugepages ]; then
		huge_pages_before=$(cat /proc/sys/vm/nr_hugepages)
		# an eighth more than the buffers, for the rest of shared memory
		kilobytes=$(numfmt --from=iec "$(echo "${BENCH_BUFFERS:-1GB}" | tr -d Bb)" --to-unit=1024)
		pages=$((huge_pages_before + kilobytes * 9 / 8 / page))
		echo "$pages" 2>/dev/null >/proc/sys/vm/nr_hugepages || :
		[ "$(cat /proc/sys/vm/nr_hugepages)" -lt "$pages" ] || BENCH_HUGE_PAGES=on
	fi
fi
