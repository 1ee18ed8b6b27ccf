# env.sh CHECK, sourced by the checks: go to the root of the tree and install the packages that the check needs. CACHE_DIR is
# where what takes long to fetch or to build is kept; root's is outside /root, which the servers' user could not enter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [ "$(id -u)" = 0 ]; then
	: "${CACHE_DIR:=/var/cache/lead_funnel}"
else
	: "${CACHE_DIR:=${XDG_CACHE_HOME:-$HOME/.cache}/lead_funnel}"
fi
export CACHE_DIR
mkdir -p "$CACHE_DIR"
test/run/packages.sh "$1"

# The mirror that apt uses here
debian_mirror()
{
	local uri
	uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
	echo "${uri:-http://deb.debian.org/debian}"
}

# apt_of SUITE ARGUMENTS...: apt-get with the lists of that suite, sources too; the system's apt is left alone
apt_of()
{
	local state=$CACHE_DIR/apt-$1 suite=$1
	shift
	if [ ! -e "$state/sources.list" ]; then
		mkdir -p "$state/lists/partial" "$state/archives/partial"
		printf "%s [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) $suite main\n" deb deb-src \
			>"$state/sources.list"
	fi
	set -- apt-get -qq -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=- \
		-o Dir::State::Lists="$state/lists" -o Dir::Cache="$state" -o APT::Sandbox::User= "$@"
	"$@"
}
