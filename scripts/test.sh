#!/usr/bin/env bash
# Runs checks and tests, and ends with what passed and what failed:
#   scripts/test.sh              everything
#   scripts/test.sh lint         the checks without the tests
#   scripts/test.sh soak [N]     the crash test with N rounds (200), 200 sandboxes at once, and N * 5000 simulated lives
#
# A step that fails does not keep the others from running. Everything has a deadline.
set -euo pipefail
# shellcheck source=scripts/prelude.sh
. "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"
cd "$ROOT"

readonly LOGS="$TARGET_DIR/test-logs"
passed=0 failed=0
failures=()

main() {
    "$ROOT/scripts/install.sh" test
    "$ROOT/scripts/toolchain.sh"
    rm -rf "$LOGS"
    mkdir -p "$LOGS"
    case ${1:-all} in
        all)
            lint
            prepare
            tests
            ;;
        lint) lint ;;
        soak)
            prepare
            soak "${2:-200}"
            ;;
        *) fail "unknown mode '$1': lint and soak are known" ;;
    esac
    report
}

lint() {
    step 300 format cargo fmt --all --check
    step 300 shellcheck shellcheck --external-sources scripts/*.sh examples/*.sh .ci/run
    step 2400 clippy cargo clippy --workspace --all-targets --locked --keep-going -- -D warnings
}

# All targets at once: another choice of packages would build their dependencies again, with other features.
prepare() {
    is_root || fail 'the tests make real sandboxes, which needs root. Run:' '  sudo --preserve-env=HOME,PATH make test'
    step 2400 build cargo build --workspace --all-targets --locked
    step 1200 agent scripts/build.sh agent
    step 2400 image "$TARGET_DIR/debug/sentinal" image build-default
    export SENTINAL_BIN="$TARGET_DIR/debug/sentinal" SENTINAL_IMAGES=/var/cache/sentinal/images
    export SENTINAL_AGENT="$TARGET_DIR/x86_64-unknown-linux-musl/agent/sentinal-agent"
    # Where they cannot be had, the tests that need them are skipped and say so.
    SENTINAL_SCHEMATHESIS=$(within 600 scripts/schemathesis.sh) || SENTINAL_SCHEMATHESIS=
    SENTINAL_PROMTOOL=$(within 600 scripts/promtool.sh) || SENTINAL_PROMTOOL=
    export SENTINAL_SCHEMATHESIS SENTINAL_PROMTOOL
}

tests() {
    suite 4200 tests cargo test --workspace --locked --no-fail-fast --lib --bins --tests
    suite 1200 doctests cargo test --workspace --locked --no-fail-fast --doc
}

soak() {
    export SENTINAL_CRASH_ROUNDS=$1
    suite $(($1 * 60)) crash cargo test --workspace --locked --test crash -- --nocapture
    export SENTINAL_SANDBOXES=200
    suite 1800 room cargo test --workspace --locked --test hosts -- --nocapture room::
    export SENTINAL_SIM_SEEDS=$(($1 * 5000))
    suite $(($1 * 150)) simulation cargo test --workspace --locked --test seeds whatever_happens -- --nocapture
}

# A command that passes or fails as one.
step() {
    local seconds=$1 name=$2
    shift 2
    say "$name"
    if within "$seconds" "$@"; then passed=$((passed + 1)); else count_failure "$name"; fi
}

# A test runner, which counts by itself. One that fails without a failed test (it did not compile, it was cut off at
# its deadline) counts as one failure.
suite() {
    local seconds=$1 name=$2 status=0 before=$failed
    shift 2
    say "$name"
    within "$seconds" "$@" 2>&1 | tee "$LOGS/$name.log" || status=$?
    count "$LOGS/$name.log"
    if [ "$failed" -gt "$before" ]; then failures+=("$name")
    elif [ "$status" -ne 0 ]; then count_failure "$name (status $status)"; fi
}

# The closing lines of cargo test, one per binary: "test result: ok. 3 passed; 0 failed; 0 ignored; ...".
count() {
    local closing
    closing=$(grep '^test result: ' "$1" || true)
    passed=$((passed + $(sum '[0-9]+ passed' "$closing")))
    failed=$((failed + $(sum '[0-9]+ failed' "$closing")))
}

sum() { grep -oE "$1" <<<"$2" | awk '{ sum += $1 } END { print sum + 0 }'; }

count_failure() {
    failed=$((failed + 1))
    failures+=("$1")
}

# The tables of the suites that run on every engine.
matrices() { grep -hE '^(conformance|escape) \| ' "$LOGS"/*.log 2>/dev/null || true; }

# What a test could not try on this machine.
skipped_lines() { grep -ohE 'SKIPPED: .*' "$LOGS"/*.log 2>/dev/null | sort -u || true; }

report() {
    local skipped
    if [ -n "$(matrices)" ]; then
        say 'what sandboxes do, and what programs inside cannot do, on every engine:'
        matrices
    fi
    skipped=$(skipped_lines)
    if [ -n "$skipped" ]; then
        say 'skipped, because this machine lacks something:'
        printf '    %s\n' "${skipped//$'\n'/$'\n'    }"
    fi
    if [ "$failed" -gt 0 ]; then complain "failed: $(printf '%s, ' "${failures[@]}" | sed 's/, $//')"; fi
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

main "$@"
