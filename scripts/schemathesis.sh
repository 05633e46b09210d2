#!/usr/bin/env bash
# Installs schemathesis, which the contract test drives, beside the images, and prints where its program is:
#   scripts/schemathesis.sh
set -euo pipefail
# shellcheck source=scripts/prelude.sh
. "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

readonly VERSION=4.32.5
python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
readonly PLACE=/var/cache/sentinal/schemathesis-$VERSION-python$python

if [ ! -e "$PLACE" ]; then
    fresh=$(mktemp -d "$PLACE.XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    python3 -m pip install --quiet --disable-pip-version-check --no-cache-dir --root-user-action=ignore --target "$fresh" "schemathesis==$VERSION" >&2
    mv --no-target-directory "$fresh" "$PLACE"
fi
printf '%s\n' "$PLACE"
