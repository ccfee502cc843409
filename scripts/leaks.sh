#!/usr/bin/env bash
# What Ze, its demo and its tests could leave behind on a machine. Take a picture before, and compare after:
#
#   scripts/leaks.sh picture FILE
#   scripts/leaks.sh compare FILE     prints what is there and was not; fails if there is something
#
# Comparing waits up to 10 s: a lab's reaper that outlives a killed test needs a moment.
set -euo pipefail

picture() {
    ip netns list 2>/dev/null | awk '{ print "network namespace", $1 }'
    ip -o link show | awk -F': ' '{ sub(/@.*/, "", $2); print "network device", $2 }'
    ip -o -d link show | awk -F': ' '/prog\/xdp|xdp(generic|offload|multi)/ { print "XDP program on", $2 }'
    xdp_programs
    ze_processes
    find /tmp /run -maxdepth 1 -name 'ze*' -printf 'directory or file %p\n' 2>/dev/null
    echo "huge pages reserved: $(cat /proc/sys/vm/nr_hugepages)"
    awk '/^HugePages_Free/ { print "huge pages free:", $2 }' /proc/meminfo
}

xdp_programs() {
    command -v bpftool >/dev/null || return 0
    bpftool -j prog show 2>/dev/null |
        jq -r '.[]? | select((.name // "") | startswith("ze_")) | "BPF program \(.name), number \(.id)"' || true
}

# By the name of the process, as pgrep does, but with zombies left out: those are their parents' affair.
ze_processes() {
    ps -eo pid=,stat=,comm= | awk '$2 !~ /^Z/ && ($3 == "ze" || $3 ~ /^ze-/) { print "process", $3, $1 }'
}

case ${1-} in
    picture) picture | sort -u >"$2" ;;
    compare)
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            left=$(picture | sort -u | comm -13 "$2" -)
            [ -n "$left" ] || exit 0
            sleep 1
        done
        printf 'left behind: %s\n' "${left//$'\n'/$'\n'left behind: }"
        exit 1
        ;;
    *)
        echo 'usage: scripts/leaks.sh picture|compare FILE' >&2
        exit 2
        ;;
esac
