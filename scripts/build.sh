#!/usr/bin/env bash
# Builds the agent as one static binary, and the release of the server with the agent beside it:
#   scripts/build.sh agent|release
set -euo pipefail
# shellcheck source=scripts/prelude.sh
. "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"
cd "$ROOT"

readonly TARGET=x86_64-unknown-linux-musl

agent() { cargo build --locked --profile agent --target "$TARGET" -p sentinal-agent; }

# The server looks for the agent beside itself. That one may be in use: a new file, not new bytes in the old one.
beside_the_server() {
    local built="$TARGET_DIR/$TARGET/agent/sentinal-agent" beside="$TARGET_DIR/release/sentinal-agent"
    if ! cmp --silent "$built" "$beside"; then
        cp "$built" "$beside.new"
        mv "$beside.new" "$beside"
    fi
}

case ${1:-} in
    agent) agent ;;
    release)
        cargo build --locked --release -p sentinal
        agent
        beside_the_server
        ;;
    *) fail 'say what: scripts/build.sh agent|release' ;;
esac
