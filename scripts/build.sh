#!/usr/bin/env bash
# Builds the server and, beside it, the agent as one static binary:  scripts/build.sh [release|debug]
set -euo pipefail
# shellcheck source=scripts/prelude.sh
. "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"
cd "$ROOT"

readonly TARGET=x86_64-unknown-linux-musl

case ${1:-release} in
    release) cargo build --locked --release -p sentinal ;;
    debug) cargo build --locked -p sentinal ;;
    *) fail "unknown profile '$1': release and debug are known" ;;
esac
cargo build --locked --profile agent --target "$TARGET" -p sentinal-agent

# The server looks for the agent beside itself. It may be running: a new file, not new bytes in the old one.
beside="$TARGET_DIR/${1:-release}/sentinal-agent"
built="$TARGET_DIR/$TARGET/agent/sentinal-agent"
if ! cmp --silent "$built" "$beside"; then
    cp "$built" "$beside.new"
    mv "$beside.new" "$beside"
fi
