# shellcheck shell=bash
# What every script starts with: where things are, and how to speak. Sourced, never run.

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin:${HOME:-/root}/.cargo/bin"
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}
export PATH ROOT TARGET_DIR

if [ -t 1 ]; then
    BOLD=$'\e[1m' RED=$'\e[31m' GREEN=$'\e[32m' DIM=$'\e[2m' PLAIN=$'\e[0m'
else
    BOLD='' RED='' GREEN='' DIM='' PLAIN=''
fi
# Some of the colours are for the scripts that source this one.
export BOLD RED GREEN DIM PLAIN

say() { printf '%s\n' "${BOLD}==>${PLAIN} $*"; }
note() { printf '%s\n' "    $*"; }
complain() { printf '%s\n' "${RED}error:${PLAIN} $1" >&2; shift; for line in "$@"; do printf '       %s\n' "$line" >&2; done; }
fail() { complain "$@"; exit 1; }

is_root() { [ "$(id -u)" -eq 0 ]; }
has() { command -v "$1" >/dev/null 2>&1; }

# Runs a command that may take so many seconds; it and its children end at the deadline, and with this script.
within() {
    local seconds=$1 pid status=0
    shift
    timeout --kill-after=20 "$seconds" "$@" </dev/null &
    pid=$!
    trap 'kill -TERM "$pid" 2>/dev/null; exit 130' INT TERM
    wait "$pid" || status=$?
    trap 'exit 130' INT TERM
    return "$status"
}
