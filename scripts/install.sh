#!/usr/bin/env bash
# Installs what is missing on this machine, one line per thing:  scripts/install.sh build|run|test|bench ...
#
# Asks the package registry only when something is missing. Without root it prints what to run and fails.
set -euo pipefail
# shellcheck source=scripts/prelude.sh
. "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

# package : what shows that it is there : why it is needed
readonly BUILD='
gcc:cc:C compiler, for the embedded database and the cryptography
libc6-dev:/usr/include/stdlib.h:C library headers
'
readonly RUN='
runsc:runsc:gVisor, the sandbox itself
mmdebstrap:mmdebstrap:makes the default image from Debian packages
erofs-utils:mkfs.erofs:packs an image into one read-only file
e2fsprogs:mkfs.ext4:the disk of a sandbox
mount:losetup:mounts the disk of a sandbox
passwd:useradd:makes the system user sentinal
curl:curl:the demo speaks to the API with it
jq:jq:the demo reads answers with it
'
readonly TEST='
shellcheck:shellcheck:checks these scripts
uidmap:newuidmap:the tests give an ordinary user a range of users
sqlite3:sqlite3:the tests look into the database for what is left over
python3-pip:pip3:installs what the contract test drives
iproute2:ip:the tests give a sandbox that is none a network to reach
'
readonly BENCH='
runc:runc:a peer in the benchmarks
bubblewrap:bwrap:a peer in the benchmarks
'
# Older ones lack what the gvisor engine uses (an EROFS root, sockets of the host).
readonly RUNSC_OLDEST='0.0~20240729'

main() {
    [ $# -gt 0 ] || fail 'say for what: scripts/install.sh build|run|test|bench ...'
    local wanted missing
    wanted=$(wanted_by "$@")
    missing=$(missing_of "$wanted")
    if [ -n "$missing" ] || user_is_missing "$@"; then
        is_root || ask_for_root "$missing" "$@"
    fi
    if [ -n "$missing" ]; then install_packages "$missing"; fi
    if user_is_missing "$@"; then make_user; fi
}

wanted_by() {
    local purpose
    for purpose in "$@"; do
        case $purpose in
            build) printf '%s' "$BUILD" ;;
            run) printf '%s%s' "$BUILD" "$RUN" ;;
            test) printf '%s%s%s' "$BUILD" "$RUN" "$TEST" ;;
            bench) printf '%s%s%s' "$BUILD" "$RUN" "$BENCH" ;;
            *) fail "unknown purpose '$purpose': build, run, test and bench are known" ;;
        esac
    done | awk 'NF && !seen[$0]++'
}

missing_of() {
    local package proof why
    while IFS=: read -r package proof why; do
        if [ -n "$package" ] && ! is_there "$package" "$proof"; then printf '%s:%s\n' "$package" "$why"; fi
    done <<<"$1"
}

is_there() {
    case $2 in
        /*) [ -e "$2" ] ;;
        runsc) has runsc && runsc_is_recent ;;
        *) has "$2" ;;
    esac
}

# A runsc that is no Debian package was put there by somebody who knows: it is taken as it is.
runsc_is_recent() {
    local version
    version=$(dpkg-query -W -f '${Version}' runsc 2>/dev/null) || return 0
    dpkg --compare-versions "$version" ge "$RUNSC_OLDEST"
}

user_is_missing() {
    case " $* " in *' run '* | *' test '* | *' bench '*) ! getent passwd sentinal >/dev/null ;; *) false ;; esac
}

ask_for_root() {
    local missing=$1 lines=()
    shift
    while IFS=: read -r package why; do
        if [ -n "$package" ]; then lines+=("  package $package: $why"); fi
    done <<<"$missing"
    if user_is_missing "$@"; then lines+=('  system user sentinal: the server drops to it'); fi
    fail 'something is missing, and only root can install it. Run:' \
        "  sudo $ROOT/scripts/install.sh $*" 'It installs:' "${lines[@]}"
}

install_packages() {
    has apt-get || fail 'this machine has no apt-get; install by hand:' "$(cut -d: -f1 <<<"$1" | xargs)"
    local names=() package why
    while IFS=: read -r package why; do
        say "installing $package ($why)"
        if [ "$package" = runsc ]; then package=$(runsc_package); fi
        names+=("$package")
    done <<<"$1"
    quietly apt-get update
    quietly apt-get install --yes --no-install-recommends "${names[@]}"
}

# Debian 12 has a runsc of 2022; a recent one is in its backports.
runsc_package() {
    local codename
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    if [ "$codename" != bookworm ]; then
        echo runsc
        return
    fi
    add_backports "$codename" >&2
    echo "runsc/$codename-backports"
}

# The backports are where the release itself is: the machine's own mirror is asked, and no other.
add_backports() {
    local release=$1 mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    local file=/etc/apt/sources.list.d/sentinal-backports.sources
    if [ -n "$(mirror_of "$release-backports")" ]; then return; fi
    mirror=$(mirror_of "$release")
    [ -n "$mirror" ] || fail "no package source for $release is configured in /etc/apt: add one, and $release-backports"
    say "adding $release-backports in $file"
    {
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$mirror" "$release-backports"
        if [ -e "$keyring" ]; then printf 'Signed-By: %s\n' "$keyring"; fi
    } >"$file"
}

mirror_of() {
    local targets
    targets=$(apt-get indextargets --no-release-info --format $'$(RELEASE)\t$(COMPONENT)\t$(REPO_URI)' 'Created-By: Packages')
    awk -F'\t' -v release="$1" '$1 == release && $2 == "main" { print $3; exit }' <<<"$targets"
}

# A package tool's pages of output are of interest only when it fails.
quietly() {
    local output
    if output=$(DEBIAN_FRONTEND=noninteractive timeout 900 "$@" 2>&1 </dev/null); then return; fi
    printf '%s\n' "$output" | tail -n 30 >&2
    fail "'$*' failed; its last lines are above"
}

make_user() {
    say 'making the system user sentinal (the server drops to it)'
    useradd --system --user-group --no-create-home --home-dir /var/lib/sentinal --shell /usr/sbin/nologin sentinal
}

main "$@"
