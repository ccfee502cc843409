#!/usr/bin/env bash
# The randomised tests, round after round with a new seed, until the time is over or one fails.
#
#   scripts/soak.sh MINUTES
#
# A round: the models and stress tests with many operations, and five minutes of fuzzing.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

minutes=${1:?usage: scripts/soak.sh MINUTES}
end=$((SECONDS + minutes * 60))
rounds=0

# Integration tests that take a seed or a number of operations.
mapfile -t selection < <(
    grep -rlE 'ZE_SEED|ZE_SYNC_OBJECTS|\bseed\(\)' --include='*.rs' fastpath lpm punt control slowpath qos nat |
        sed -n 's|.*/tests/\([a-z0-9_]*\)\.rs$|--test=\1|p' | sort -u
)

while [ $SECONDS -lt $end ]; do
    rounds=$((rounds + 1))
    ZE_SEED=$(od -An -N7 -tu8 /dev/urandom | tr -d ' ')
    export ZE_SEED
    echo "== round $rounds, ZE_SEED=$ZE_SEED"
    if ! ZE_LPM_OPERATIONS=1000000 ZE_SYNC_OBJECTS=5000000 cargo test --workspace "${selection[@]}" --no-fail-fast ||
        ! ZE_FUZZ_SECONDS=300 scripts/test.sh fuzz; then
        echo "FAILED in round $rounds. Repeat it with ZE_SEED=$ZE_SEED"
        exit 1
    fi
done
echo "$rounds rounds, nothing found"
