#!/usr/bin/env bash
# Installs promtool, which the tests of figures and alerts use, beside the images, and prints where its program is:
#   scripts/promtool.sh
#
# Out of Debian's package, without installing that: no Prometheus is started.
set -euo pipefail
# shellcheck source=scripts/prelude.sh
. "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

readonly PLACE=/var/cache/sentinal/promtool

if has promtool; then
    command -v promtool
    exit
fi
if [ ! -x "$PLACE/promtool" ]; then
    has apt-get || fail 'promtool is missing, and this machine has no apt-get'
    mkdir -p "$PLACE"
    fresh=$(mktemp -d "$PLACE.XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    cd "$fresh"
    apt-get -qq download prometheus >&2 || { apt-get -qq update >&2 && apt-get -qq download prometheus >&2; }
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
    mv usr/bin/promtool "$PLACE/promtool"
fi
printf '%s\n' "$PLACE/promtool"
