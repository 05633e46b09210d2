#!/usr/bin/env bash
# The five calls of the API: runs examples/demo/summary.py in a sandbox and fetches what it wrote.
# Exits with the program's exit status. Needs curl, jq, and a server:
#   SENTINAL_URL=http://127.0.0.1:8080 SENTINAL_API_KEY=... examples/demo.sh
set -euo pipefail

: "${SENTINAL_URL:?set it to the URL of the server, such as http://127.0.0.1:8080}"
: "${SENTINAL_API_KEY:?set it to an API key, such as the one in the admin.key of the data folder}"

readonly API="$SENTINAL_URL/api/v1"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly HERE HOME_INSIDE=/home/user
scratch=$(mktemp -d)
readonly scratch
sandbox=''

main() {
    trap clean_up EXIT
    create
    upload
    execute
    logs
    download
    destroy
    return "$(jq .status "$scratch/program")"
}

create() {
    call create POST /sandbox --json '{"engine": "gvisor", "cpu": 1, "memory": "256Mi", "labels": {"purpose": "demo"}}'
    sandbox=$(answer .id)
    show "$(answer '"\(.id): \(.engine), isolation \(.isolation), \(.state)"')"
}

upload() {
    call upload POST /upload --form "sandbox_id=$sandbox" --form "path=$HOME_INSIDE/" \
        --form "file=@$HERE/demo/summary.py" --form "file=@$HERE/demo/readings.csv"
    show "$(answer '.files[] | "\(.path) (\(.size) bytes)"')"
}

execute() {
    call execute POST /execute --json "$(
        jq --null-input --arg sandbox_id "$sandbox" --arg program "$HOME_INSIDE/summary.py" \
            '{$sandbox_id, command: "python3", args: [$program]}'
    )"
    # As a shell has it: a program that was killed by a signal has 128 and the signal's number.
    answer '{status: (if .outcome == "exited" then .exit_code else 128 + (.signal // 9) end)}' >"$scratch/program"
    show "$(answer '.stdout + .stderr')"
    show "$(answer '"\(.outcome) with status \(.exit_code) after \(.duration_ms | round) ms inside"')"
}

logs() {
    call logs GET "/logs?sandbox_id=$sandbox"
    show "$(answer '.items[] | "\(.time[11:23]) \(.kind): \(.message)"')"
}

download() {
    call download GET "/download?sandbox_id=$sandbox&path=$HOME_INSIDE/summary.json"
    show "$(jq --compact-output 'to_entries[] | {(.key): .value}' "$scratch/answer")"
}

destroy() {
    call destroy DELETE "/sandbox/$sandbox"
    show "$(answer '"\(.id): \(.state)"')"
    sandbox=''
}

# One request: call STEP METHOD PATH [curl's arguments for the body]. Prints the step and how long it took.
call() {
    local step=$1 method=$2 path=$3 reply status seconds
    shift 3
    reply=$(curl --silent --show-error --max-time 120 --output "$scratch/answer" --write-out '%{http_code} %{time_total}' \
        --request "$method" --header "Authorization: Bearer $SENTINAL_API_KEY" "$@" "$API$path")
    read -r status seconds <<<"$reply"
    path=${path%%\?*}
    printf '%-9s %-6s %-28s %s  %7.1f ms\n' "$step" "$method" "/api/v1${path/sbx_*/'{id}'}" "$status" \
        "$(jq --null-input "$seconds * 1000")"
    if [ "$status" -ge 300 ]; then
        jq . "$scratch/answer" >&2 || cat "$scratch/answer" >&2
        exit 1
    fi
}

answer() { jq --raw-output "$1" "$scratch/answer"; }

show() {
    if [ -n "$1" ]; then printf '          | %s\n' "${1//$'\n'/$'\n'          | }"; fi
}

# Whatever went wrong, the sandbox does not stay.
clean_up() {
    if [ -n "$sandbox" ]; then
        curl --silent --max-time 60 --output /dev/null --request DELETE \
            --header "Authorization: Bearer $SENTINAL_API_KEY" "$API/sandbox/$sandbox" || true
    fi
    rm -rf "$scratch"
}

main
