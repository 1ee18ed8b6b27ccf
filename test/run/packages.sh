#!/bin/bash
# packages.sh demo|test|lint|server|matrix|coverage: install the Debian packages that are missing for it. Where nothing is
# missing, nothing is done, so this also passes on other systems and for users who are not root.
set -euo pipefail

# The major version to work with: the one found, else the one of which a half is installed, else Debian's own.
major()
{
	local half
	if [ -n "${pg_config:-${PG_CONFIG:-}}" ]; then
		"${pg_config:-$PG_CONFIG}" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/'
	elif half=$(ls -d /usr/lib/postgresql/*/lib/pgxs 2>/dev/null || ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null); then
		echo "$half" | cut -d/ -f5 | sort -n | tail -n 1
	else
		apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | grep . || echo 15
	fi
}

# need COMMAND [PACKAGE]
need() { command -v "$1" >/dev/null || echo "${2:-$1}"; }

list_missing()
{
	local pg_config
	pg_config=$(test/run/find_pg_config.sh) || pg_config=
	echo '#include <stdio.h>' | cc -E - >/dev/null 2>&1 || echo gcc libc6-dev
	[ -n "$pg_config" ] || echo "postgresql-$(major) postgresql-server-dev-$(major)"
	case $1 in
		demo) return ;;
		lint) need clang; need clang-tidy; need cppcheck; need shellcheck ;;
		server) need make; need bzip2; need bison; need flex; need dpkg-deb dpkg; need valgrind ;;
		matrix) need debootstrap ;;
		coverage) need lcov ;;
	esac
	need prove perl
	perl -MIPC::Run -e 1 2>/dev/null || echo libipc-run-perl
	need pg_prove libtap-parser-sourcehandler-pgtap-perl
	[ -n "$pg_config" ] && [ -e "$("$pg_config" --sharedir)/extension/pgtap.control" ] || echo "postgresql-$(major)-pgtap"
}

apt()
{
	DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends --no-upgrade --no-remove "$@" >"$log" 2>&1 ||
		{ tail -n 20 "$log" >&2; echo "apt-get $* failed" >&2; return 1; }
}

# Debian's server package creates and starts a cluster. We want none: both files are as they were when we leave.
cluster_conf=/etc/postgresql-common/createcluster.conf
policy=/usr/sbin/policy-rc.d
restore()
{
	[ ! -e "$cluster_conf.lead_funnel" ] || mv "$cluster_conf.lead_funnel" "$cluster_conf"
	[ -z "${own_policy:-}" ] || rm -f "$policy"
	rm -f "$log"
}

if [ -n "${PG_CONFIG:-}" ] && ! "$PG_CONFIG" --version >/dev/null 2>&1; then
	echo "PG_CONFIG=$PG_CONFIG cannot be run" >&2
	exit 1
fi
[ -n "$(list_missing "$1")" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "make $1 needs more than is installed; on Debian, as root: apt-get install" $(list_missing "$1") >&2
	exit 1
fi
log=$(mktemp)
trap restore EXIT
apt update || echo "going on with the package lists that are here" >&2
packages=$(list_missing "$1")          # only now does apt know Debian's own version
echo "installing" $packages
if [ ! -e "$policy" ]; then
	own_policy=yes
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
case $packages in *postgresql-*)
	[ -e "$cluster_conf" ] || apt install postgresql-common
	cp -p "$cluster_conf" "$cluster_conf.lead_funnel"
	echo 'create_main_cluster = false' >>"$cluster_conf" ;;
esac
apt install $packages
