#!/bin/bash
# A sandbox that is none: the image under chroot, as root, with every capability, no filter, no limits and no namespace
# that its surroundings do not have. Those are namespaces of the test's, which stand for the host, with a canary in them:
#
#     unshare --mount --pid --fork --kill-child --uts --ipc --net weak.sh IMAGE CANARY ATTEMPTS DISK FOLDER ATTEMPT...
#
# DISK is "MAJOR MINOR" of a block device with the marker on it, FOLDER an empty one. An ATTEMPT is WHO/NAME/HOW, with
# HOW chroot or pivot (the kernel makes no user namespace under chroot). Prints what the attempts print.
set -euo pipefail
image=$1 canary=$2 attempts=$3 disk=$4 outside=$5 root=$5/root
shift 5

main() {
    # Nothing that is mounted here is mounted on the host.
    mount --make-rprivate /
    mount -t proc proc /proc
    mount -t tmpfs -o size=2g,nr_inodes=1m outside "$outside"
    mount -t tmpfs shm /dev/shm
    make_network
    start_agent
    make_root
    start_canary
    ulimit -n 20000
    local each who name how
    for each in "$@"; do
        IFS=/ read -r who name how <<<"$each"
        within_pids unshare --mount bash -c "$(declare -f "by_$how"); by_$how \"\$@\"" weak \
            "$root" /usr/bin/python3 /escape/attempts.py "$who" "[\"$name\"]" "$known" 9<"$outside" </dev/null
    done
    printf '{"touched": "%s"}\n' "$(sort -u "$outside/touched" 2>/dev/null | tr '\n' ';')"
}

by_chroot() { exec chroot "$@"; }

# What was the root stays at /mnt: one more hole.
by_pivot() {
    cd "$1"
    pivot_root . mnt
    shift
    cd /
    exec "$@"
}

make_network() {
    ip link set lo up
    ip link add inside type veth peer name outside
    ip link set outside up
    ip link set inside up
    ip address add 192.0.2.2/24 dev inside
    ip neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev inside
}

# Process 1 of what stands for the host's processes. It may be stopped or worse: this script is not among them.
start_agent() {
    local token=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    # /proc shows numbers of these surroundings, to a process of the inner ones, too.
    local say='read -r pid _ </proc/self/stat; echo "$pid" >"$0"; exec -a agent sleep 3600'
    SENTINAL_TOKEN=$token unshare --pid --fork --kill-child bash -c "$say" "$outside/agent" &
    for _ in $(seq 200); do [ -s "$outside/agent" ] || sleep 0.05; done
    agent=$(cat "$outside/agent")
}

within_pids() { nsenter --pid="/proc/$agent/ns/pid" -- "$@"; }

make_root() {
    mkdir -p "$outside"/{image,upper,work,root,shared}
    mount -t erofs -o ro,loop "$image" "$outside/image"
    mount -t overlay -o "lowerdir=$outside/image,upperdir=$outside/upper,workdir=$outside/work" overlay "$root"
    within_pids mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
    mount -t tmpfs dev "$root/dev"
    mkdir "$root/dev/shm"
    mount --bind /dev/shm "$root/dev/shm"
    local name major minor
    for node in "null 1 3" "zero 1 5" "random 1 8" "urandom 1 9"; do
        read -r name major minor <<<"$node"
        mknod -m 666 "$root/dev/$name" c "$major" "$minor"
    done
    mkdir -p "$root/.sentinal/host" "$root/home/user" "$root/escape"
    mount --bind "$outside/shared" "$root/.sentinal/host"
    cp "$root/bin/true" "$root/.sentinal/agent"
    cp "$attempts"/*.py "$root/escape/"
    for lender in lends-user lends-group; do
        cp "$root/usr/bin/python3" "$root/home/user/$lender"
        chmod 6755 "$root/home/user/$lender"
    done
}

# Its standard input is open as long as this script lives.
start_canary() {
    local secret major minor
    secret=canary-secret-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    mkfifo "$outside/life"
    exec 7<>"$outside/life"
    CANARY_SECRET=$secret within_pids "$canary" "$outside" "$secret" <&7 >"$outside/said" &
    for _ in $(seq 200); do [ -s "$outside/said" ] || sleep 0.05; done
    ln "$outside/socket" "$outside/shared/agent.sock"
    read -r major minor <<<"$disk"
    known=$(sed 's/}$//' "$outside/said")
    known="$known, \"agent\": \"/.sentinal/agent\", \"shared\": \"/.sentinal/host\", \"sockets\": [\"agent.sock\"]"
    known="$known, \"disk\": [$major, $minor], \"addresses\": [\"127.0.0.1\", \"::1\"]}"
}

main "$@"
