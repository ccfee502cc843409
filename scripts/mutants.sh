#!/usr/bin/env bash
# Do the tests notice it if the forwarding nodes do something else? Each mutant is one change to their code (an operator,
# a constant, a function's result), made by cargo-mutants. First it meets the nodes' own tests; what these miss meets the
# scenarios in memory. At least WANTED_PERCENT of those that compile must be caught.
#
#   scripts/mutants.sh [K/N]    every N-th mutant from the K-th on (default 0/16: about 50 of 800; 0/1: all, for hours)
#
# Needs cargo-mutants 27: cargo install cargo-mutants --locked. What was found is in <target>/mutants.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

WANTED_PERCENT=80
shard=${1-0/16}
target=${CARGO_TARGET_DIR:-$PWD/target}
out=$target/mutants
command -v cargo-mutants >/dev/null || { echo 'cargo-mutants is not installed: cargo install cargo-mutants --locked' >&2; exit 2; }
# Building counts here, not running.
export CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=0

lines() { cat "$@" 2>/dev/null | grep -c .; }

# run DIRECTORY OPTIONS…: cargo-mutants says 2 or 3 where mutants were missed or ran for ever, which is no failure of it.
run() {
    local into=$1
    shift
    rm -rf "$into"
    mkdir -p "$into"
    cargo mutants -p ze-nodes --timeout 120 --no-shuffle --output "$into" "$@"
    case $? in 0 | 2 | 3) ;; *) exit 1 ;; esac
}

run "$out/nodes" --shard "$shard" --sharding round-robin -- --lib --test graph
nodes=$out/nodes/mutants.out
caught=$(lines "$nodes/caught.txt" "$nodes/timeout.txt") missed=$(lines "$nodes/missed.txt")
total=$((caught + missed))
printf 'nodes'\'' own tests: %d of %d caught\n' "$caught" "$total"

if [ "$missed" -gt 0 ]; then
    # Each by its whole name, as a regular expression.
    names=$(sed 's/[][\.*^$+?(){}|/]/\\&/g' "$nodes/missed.txt" | paste -sd'|')
    # The unmutated tree would be tested as ze-nodes, which has no such test; CI has tested it.
    run "$out/scenarios" --re "$names" --baseline skip --test-package ze-pktgen -- --test scenarios -- in_memory
    # The selection by name may let others in: only those that the nodes' tests missed count.
    still=$(grep -Fxf "$nodes/missed.txt" "$out/scenarios/mutants.out/missed.txt")
    missed=$(printf '%s' "$still" | grep -c .)
    printf 'Missed by both:\n%s\n' "$still"
    caught=$((total - missed))
fi
[ "$total" -gt 0 ] || { echo 'no mutant compiles'; exit 1; }
percent=$((100 * caught / total))
printf 'mutants: %d of %d caught, %d %% (wanted: %d %%)\n' "$caught" "$total" "$percent" "$WANTED_PERCENT"
[ "$percent" -ge "$WANTED_PERCENT" ]
