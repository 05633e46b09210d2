# Waits until the test that started it is gone or says so, then removes everything that lies under $DATA_DIR or
# carries the id of a sandbox found there. Standard input is the test's end of a pipe. No command here has the
# folder among its arguments: it would find itself.
holders() { grep -lFf <(printf '%s\n' "$DATA_DIR") /proc/[0-9]*/cmdline 2>/dev/null; }
pid_of() { basename "$(dirname "$1")"; }

cat >/dev/null
parents=
for _ in 1 2 3 4 5 6 7 8 9 10; do
    ids=$( { (cd "$DATA_DIR" && find . -name 'sbx_*' -printf '%f\n'); holders | xargs -r cat | tr '\0' '\n'; } 2>/dev/null \
        | grep -o 'sbx_[0-9a-f]\{32\}' | sort -u)
    # Where sandboxes that still run have their cgroups: nothing else is in there.
    parents="$parents $(for process in $(holders); do cat "${process%cmdline}cgroup"; done 2>/dev/null \
        | grep -o '[^/]*/sbx_' | cut -d/ -f1 | sort -u)"
    for process in $(holders); do kill -KILL "$(pid_of "$process")" 2>/dev/null; done
    # Sandboxes without a cgroup: their first process, if it still is the one that was written down.
    for init in $(cut -d' ' -f1 "$DATA_DIR"/node/native/sbx_*/pid 2>/dev/null); do
        grep -F "$DATA_DIR/" "/proc/$init/mountinfo" 2>/dev/null | grep -q ' /\.sentinal/host ' && kill -KILL "$init"
    done
    for id in $ids; do
        for group in $(find /sys/fs/cgroup -depth -type d -path "*$id*" 2>/dev/null); do
            for pid in $(cat "$group/cgroup.procs" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
            rmdir "$group" 2>/dev/null
        done
    done
    for parent in $parents; do
        find /sys/fs/cgroup -depth -type d -path "*/$parent*" -exec rmdir {} + 2>/dev/null
    done
    awk 'index($5, ENVIRON["DATA_DIR"] "/") == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r mount; do
        timeout 5 umount -l "$mount" 2>/dev/null
    done
    for backing in $(grep -lF "$DATA_DIR" /sys/block/loop*/loop/backing_file 2>/dev/null); do
        timeout 5 losetup -d "/dev/$(basename "$(dirname "$(dirname "$backing")")")" 2>/dev/null
    done
    timeout 5 umount -l "$DATA_DIR" 2>/dev/null
    rm -rf "$DATA_DIR" 2>/dev/null
    [ -e "$DATA_DIR" ] || [ -n "$(holders)" ] || exit 0
    sleep 0.3
done
exit 1
