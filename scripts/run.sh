#!/usr/bin/env bash
# Starts the built server, runs the demo against it, and then:
#   scripts/run.sh run    serves in the foreground until Ctrl-C
#   scripts/run.sh demo   stops, and exits with the status of the demo program
# A server that already answers is used for the demo, and left alone.
set -euo pipefail
# shellcheck source=scripts/prelude.sh
. "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"

readonly LISTEN=${SENTINAL_LISTEN:-127.0.0.1:8080}
readonly DATA_DIR=${SENTINAL_DATA_DIR:-/var/lib/sentinal}
readonly URL="http://$LISTEN"
readonly BINARY="$TARGET_DIR/release/sentinal"
# Not in the data folder, where the server's user may put what it likes in the way of root.
readonly LOG="$TARGET_DIR/serve-${LISTEN##*:}.log"
readonly START_SECONDS=45 STOP_SECONDS=40
server=''

main() {
    local mode=${1:-}
    case $mode in run | demo) ;; *) fail 'say which: scripts/run.sh run|demo' ;; esac
    check_machine "$mode"
    if is_healthy; then
        with_running_server "$mode"
        return
    fi
    trap 'stop_server; exit 130' INT
    trap 'stop_server; exit 143' TERM HUP
    trap stop_server EXIT
    retire_outdated_node
    start_server
    wait_until_healthy
    demo "$mode"
}

check_machine() {
    [ -x "$BINARY" ] || fail "$BINARY is missing. Run: make build"
    if ! is_root; then
        fail 'the server is built; starting it needs root, for the sandboxes it makes (it drops to the user sentinal).' \
            'Run:' "  sudo $ROOT/scripts/install.sh run" "  sudo $ROOT/scripts/run.sh $1"
    fi
    "$ROOT/scripts/install.sh" run
    "$BINARY" image build-default
}

is_healthy() {
    [ "$(curl --silent --max-time 2 "$URL/health" | jq -r .status 2>/dev/null)" = healthy ]
}

reasons() { curl --silent --max-time 2 "$URL/health" | jq -r '(.reasons // [])[]' 2>/dev/null || echo 'no answer'; }

with_running_server() {
    if [ "$1" = run ]; then
        fail "a server is already running at $URL. Try it with: make demo" \
            'To start another one beside it: SENTINAL_LISTEN=127.0.0.1:8081 SENTINAL_DATA_DIR=/var/lib/sentinal2 make run'
    fi
    say "using the server that is running at $URL"
    [ -r "$DATA_DIR/admin.key" ] || fail "its key is not in $DATA_DIR/admin.key: set SENTINAL_DATA_DIR"
    run_demo
}

# A node outlives its server, so that sandboxes go on. One of a binary that was built anew meanwhile makes room; the
# next one takes its sandboxes over.
retire_outdated_node() {
    local exe pid deadline=$((SECONDS + STOP_SECONDS))
    for exe in /proc/[0-9]*/exe; do
        pid=$(basename "${exe%/exe}")
        if ! is_outdated_node "$pid"; then continue; fi
        say "stopping the node of an older build (process $pid)"
        kill -TERM "$pid"
        while is_outdated_node "$pid" && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.1; done
    done
}

is_outdated_node() {
    [ "$(readlink "/proc/$1/exe")" = "$BINARY (deleted)" ] &&
        tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF -- "--state-dir $DATA_DIR/node"
}

# In a session of its own: Ctrl-C reaches this script alone, which then asks the server once.
start_server() {
    : >"$LOG"
    say "starting the server at $URL (data in $DATA_DIR, log in $LOG)"
    setsid "$BINARY" serve --listen "$LISTEN" --data-dir "$DATA_DIR" </dev/null >>"$LOG" 2>&1 &
    server=$!
}

wait_until_healthy() {
    local deadline=$((SECONDS + START_SECONDS))
    until is_healthy; do
        if ! kill -0 "$server" 2>/dev/null; then give_up 'the server ended'; fi
        if [ "$SECONDS" -ge "$deadline" ]; then give_up "the server is not healthy after $START_SECONDS s: $(reasons)"; fi
        sleep 0.1
    done
}

give_up() {
    tail -n 20 "$LOG" >&2
    fail "$1; the end of its log is above, all of it in $LOG"
}

run_demo() {
    SENTINAL_URL=$URL SENTINAL_API_KEY=$(<"$DATA_DIR/admin.key") "$ROOT/examples/demo.sh"
}

demo() {
    local status=0
    run_demo || status=$?
    if [ "$1" = demo ]; then exit "$status"; fi
    if [ "$status" -ne 0 ]; then complain "the demo program ended with status $status"; fi
    say "serving at $URL until Ctrl-C. In another terminal:"
    note "export SENTINAL_URL=$URL SENTINAL_API_KEY=\$(sudo cat $DATA_DIR/admin.key)"
    note 'examples/demo.sh'
    tail --pid="$server" --lines=0 --follow "$LOG" &
    wait "$server" || give_up "the server ended with status $?"
}

stop_server() {
    trap '' INT TERM HUP
    trap - EXIT
    if [ -z "$server" ] || ! kill -0 "$server" 2>/dev/null; then return; fi
    say 'stopping the server'
    kill -TERM "$server"
    local deadline=$((SECONDS + STOP_SECONDS))
    while kill -0 "$server" 2>/dev/null; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            complain "the server did not stop within $STOP_SECONDS s: killed"
            kill -KILL "$server"
            break
        fi
        sleep 0.1
    done
}

main "$@"
