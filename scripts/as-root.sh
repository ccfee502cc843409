#!/usr/bin/env bash
# Runs a command as root, with this environment: directly, or by sudo.
set -euo pipefail
if [ "$(id -u)" = 0 ]; then
    exec "$@"
fi
command -v sudo >/dev/null || {
    printf 'this needs root, and there is no sudo: run it as root: %s\n' "$*" >&2
    exit 1
}
# sudo replaces PATH even with -E.
exec sudo -E env "PATH=$PATH" "$@"
