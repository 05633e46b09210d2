#!/usr/bin/env bash
# The crash test, long: kills the server at random moments and looks for anything lost or left behind.
#   scripts/soak.sh [ROUNDS]
set -euo pipefail
# shellcheck source=scripts/prelude.sh
. "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"
cd "$ROOT"

"$ROOT/scripts/install.sh" test
"$ROOT/scripts/toolchain.sh"
is_root || fail 'the crash test makes real sandboxes, which needs root. Run:' '  sudo --preserve-env=HOME,PATH make soak'
"$ROOT/scripts/build.sh" debug
"$TARGET_DIR/debug/sentinal" image build
export SENTINAL_CRASH_ROUNDS=${1:-200}
say "crash test, $SENTINAL_CRASH_ROUNDS rounds"
within $((SENTINAL_CRASH_ROUNDS * 60)) cargo test --locked -p sentinal-tests --test crash -- --nocapture
