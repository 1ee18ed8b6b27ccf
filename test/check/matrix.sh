#!/bin/bash
# make matrix: all tests, built with -Werror, on PostgreSQL 15, 17 and 18: those of Debian bookworm, trixie and forky, each in
# a chroot that debootstrap makes in CACHE_DIR. Root only. SUITES="trixie" selects.
. "$(dirname "$0")/env.sh" matrix
[ "$(id -u)" = 0 ] || { echo "make matrix makes chroots: root only" >&2; exit 1; }

# in_chroot ROOT COMMAND...: with namespaces of its own, so that neither a mount nor a process stays behind
in_chroot()
{
	unshare --mount --pid --fork --kill-child --propagation private sh -c 'mount -t proc proc "$1/proc" &&
		mount --rbind /dev "$1/dev" && mount -t tmpfs -o mode=1777 tmpfs "$1/tmp" && root=$1 && shift &&
		exec chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"' sh "$@"
}

run_suite()
{
	local root=$CACHE_DIR/chroots/$1
	if [ ! -e "$root/complete" ]; then
		rm -rf --one-file-system "$root"
		mkdir -p "$root"
		# bookworm's debootstrap does not know the name forky; sid's script is the one for all new suites
		debootstrap --variant=minbase --include=make,ca-certificates "$1" "$root" "$(debian_mirror)" \
			"$(ls "/usr/share/debootstrap/scripts/$1" 2>/dev/null || echo /usr/share/debootstrap/scripts/sid)" || return
		touch "$root/complete"
	fi
	rm -rf "$root/src"
	mkdir "$root/src"
	tar --exclude=./.git --exclude=./test_output -cf - . | tar -xof - -C "$root/src"
	in_chroot "$root" sh -c 'cd /src && make -s clean >/dev/null 2>&1; exec make -s test COPT=-Werror KINDS="$1"' sh "${KINDS:-}"
}

bad=0
for suite in ${SUITES:-bookworm trixie forky}; do
	log=$CACHE_DIR/matrix-$suite.log
	if run_suite "$suite" >"$log" 2>&1; then
		result=ok
	else
		result="not ok, see $log"
		bad=$((bad + 1))
		grep -vE '^(I:|installing)' "$log" | head -n 200
	fi
	version=$(ls "$CACHE_DIR/chroots/$suite/usr/lib/postgresql" 2>/dev/null | sort -n | tail -n 1)
	echo "PostgreSQL ${version:-?} ($suite): $(grep -xE '[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1) $result"
done
[ $bad = 0 ]
