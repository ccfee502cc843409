#!/usr/bin/env bash
# Everything that must hold, in stages; goes on after a failure, and ends with the count.
#
#   scripts/test.sh                     all stages
#   scripts/test.sh fmt clippy tidy     only these
#
# Stages: fmt clippy tidy build tests docs loom fuzz. Environment:
#   CI=true            no test may skip (a missing precondition fails it)
#   ZE_FUZZ_SECONDS    how long the parser is fuzzed (default 60)
#   LOOM_MAX_PREEMPTIONS   how far loom goes in one execution (default 3)
#   ZE_TEST_COUNTS     file to which the count is written: "passed failed skipped"
#   CARGO_TARGET_DIR   as for cargo; loom builds go beside it, into <it>/loom
#
# One profile (dev: assertions on, dependencies optimised) and one feature selection (the whole workspace) for all
# stages, so that nothing is compiled twice. As an ordinary user, test programs run under sudo if that asks nothing.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
logs=$target/test-logs
mkdir -p "$logs"
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
export ZE_BIN_DIR=$target/debug
locked=()
[ "${CI-}" = true ] && locked=(--locked)

passed=0 failed=0 skipped=0
failures=()
times=()

# ---- counting --------------------------------------------------------------------------------------------------

# Sums of the harness's own lines: "test result: ok. 12 passed; 0 failed; 1 ignored; …".
count_harness() {
    local p f i s
    read -r p f i < <(awk '/^test result: / { p += $4; f += $6; i += $8 } END { print p + 0, f + 0, i + 0 }' "$1")
    s=$(grep -c 'SKIPPED: ' "$1")
    add "$((p - s))" "$f" "$((i + s))"
}

# Of nextest's report, and of its summary line: "Summary [ 1.0s] 9 tests run: 9 passed (1 slow), 2 skipped".
count_nextest() {
    local report=$1 log=$2 run bad s i
    run=$(sed -n 's/.*<testsuites [^>]*tests="\([0-9]*\)".*/\1/p' "$report")
    bad=$(sed -n 's/.*<testsuites [^>]*failures="\([0-9]*\)" errors="\([0-9]*\)".*/\1+\2/p' "$report")
    s=$(awk '/<testcase / { here = 0 } /SKIPPED: / && !here { here = 1; n++ } END { print n + 0 }' "$report")
    i=$(sed -n 's/.* tests\{0,1\} run: .* \([0-9]*\) skipped.*/\1/p' "$log" | tail -n 1)
    add "$((${run:-0} - (${bad:-0}) - s))" "$((${bad:-0}))" "$((s + ${i:-0}))"
}

add() {
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# ---- stages ----------------------------------------------------------------------------------------------------

# Runs one stage: its name, then the function that is the stage. One that fails without a failed test counts as one.
stage() {
    local name=$1 began=$SECONDS failed_before=$failed status=0
    printf '\n== %s\n' "$name"
    "stage_$name" || status=$?
    times+=("$(printf '%-8s %4d s  %s' "$name" $((SECONDS - began)) "$([ $status = 0 ] && echo ok || echo FAILED)")")
    [ $status = 0 ] && return
    failures+=("$name")
    [ "$failed" = "$failed_before" ] && failed=$((failed + 1))
}

stage_fmt() { cargo fmt --all --check; }
stage_clippy() { cargo clippy "${locked[@]}" --workspace --all-targets -- -D warnings; }
stage_tidy() { scripts/tidy.sh; }
# Tests find the daemons and the command in ZE_BIN_DIR, so programs come before tests.
stage_build() { cargo build "${locked[@]}" --workspace --bins --tests; }

stage_tests() {
    local log=$logs/tests.log report=$target/nextest/default/junit.xml status=0
    if cargo nextest --version >/dev/null 2>&1; then
        rm -f "$report"
        cargo nextest run "${locked[@]}" --config-file scripts/nextest.toml --workspace --color never 2>&1 |
            tee "$log" || status=$?
        [ -f "$report" ] || return 1
        cp "$report" "$logs/tests.xml"
        count_nextest "$report" "$log"
        return $status
    fi
    # One test at a time: those that share the machine can not be told apart here.
    cargo test "${locked[@]}" --workspace --bins --lib --tests --no-fail-fast --color never -- \
        --test-threads=1 2>&1 | tee "$log" || status=$?
    count_harness "$log"
    return $status
}

# The tests that listen to ZE_FUZZ_SECONDS, again and for longer.
stage_fuzz() {
    local extra=()
    run_each fuzz ZE_FUZZ_SECONDS "ZE_FUZZ_SECONDS=${ZE_FUZZ_SECONDS:-60}" --workspace
}

stage_docs() {
    local status=0
    cargo test "${locked[@]}" --workspace --doc --no-fail-fast --color never 2>&1 | tee "$logs/docs.log" || status=$?
    # Examples marked `ignore` or `no_run` are the author's choice, not tests that could not run.
    sed 's/\([0-9]*\) ignored/0 ignored/' "$logs/docs.log" >"$logs/docs-counted.log"
    count_harness "$logs/docs-counted.log"
    return $status
}

# Every test that explores interleavings: those whose file runs a loom model. Such a crate is built apart, since
# under cfg(loom) its atomics are loom's.
stage_loom() {
    # Compiling dependencies fast beats running them fast, by a minute; only loom itself is worth optimising.
    local extra=(--config 'profile.dev.package."*".opt-level=0' --config 'profile.dev.package.loom.opt-level=2')
    # More than three preemptions in one execution find little more, and take minutes for the ring of two threads.
    local bound=${LOOM_MAX_PREEMPTIONS:-3}
    run_each loom 'loom::model|model::Builder' \
        "RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR='$target/loom' LOOM_MAX_PREEMPTIONS=$bound"
}

# run_each NAME PATTERN ENVIRONMENT [OPTION]: the tests of each file that matches, by `cargo test`. That there is none
# is a failure: a stage that runs nothing proves nothing. Without an option it is the file's package alone.
run_each() {
    local name=$1 pattern=$2 environment=$3 option=${4-} log=$logs/$1.log status=0 file any=0 selection
    : >"$log"
    while read -r file; do
        any=1
        echo "-- $file"
        read -ra selection <<<"${option:--p $(crate_of "$file")} $(selection_of "$file" "$name")"
        env -S "$environment" cargo test "${locked[@]}" "${extra[@]}" --color never "${selection[@]}" 2>&1 |
            tee -a "$log" || status=$?
    done < <(grep -rlE "$pattern" --include='*.rs' fastpath lpm punt control slowpath qos nat | sort)
    [ $any = 1 ] || { echo "no test matches $pattern"; return 1; }
    count_harness "$log"
    return $status
}

# The package that a source file belongs to.
crate_of() {
    local dir
    dir=$(dirname "$1")
    until [ -f "$dir/Cargo.toml" ]; do dir=$(dirname "$dir"); done
    sed -n 's/^name = "\(.*\)"/\1/p' "$dir/Cargo.toml" | head -n 1
}

# selection_of FILE WORD: an integration test is a target of its own, named by its file or its directory. Where the file
# is only a part of a target, WORD in a test's path selects it.
selection_of() {
    local part=${1##*/tests/}
    case $1 in
        */src/*) echo "--lib -- $2" ;;
        *) case $part in
            */*) echo "--test ${part%%/*} -- $2" ;;
            *) echo "--test ${part%.rs}" ;;
        esac ;;
    esac
}

# ---- the run ---------------------------------------------------------------------------------------------------

use_sudo_for_tests() {
    [ "$(id -u)" = 0 ] && return
    if sudo -n true 2>/dev/null; then
        local triple
        triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
        export "CARGO_TARGET_${triple}_RUNNER=$PWD/scripts/as-root.sh"
    else
        echo 'Not root, and sudo would ask for a password: tests that need root will be SKIPPED.'
    fi
}

all=(fmt clippy tidy build tests docs loom fuzz)
for name in "$@"; do
    [[ " ${all[*]} " == *" $name "* ]] || { echo "no stage '$name'; there are: ${all[*]}" >&2; exit 2; }
done
[ $# -gt 0 ] || set -- "${all[@]}"
rm -f "$logs"/*
use_sudo_for_tests
for name in "$@"; do
    stage "$name"
done

printf '\nTime by stage:\n'
printf '  %s\n' "${times[@]}"
grep -ho 'SKIPPED: .*' "$logs"/*.log "$logs"/*.xml 2>/dev/null | sort | uniq -c
[ ${#failures[@]} = 0 ] || printf 'Failed stages: %s. Logs: %s\n' "${failures[*]}" "$logs"
[ -z "${ZE_TEST_COUNTS-}" ] || echo "$passed $failed $skipped" >"$ZE_TEST_COUNTS"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ ${#failures[@]} = 0 ] && [ "$failed" = 0 ]
