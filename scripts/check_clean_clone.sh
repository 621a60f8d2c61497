#!/usr/bin/env bash
# What a stranger gets: the committed state in an empty folder, set up, checked and tested there.
set -euo pipefail
root=$(git -C "$(dirname "$0")/.." rev-parse --show-toplevel)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

git clone --quiet --no-local "$root" "$scratch/main"
if [ -d "$root/../shared" ]; then
    ln -s "$(realpath "$root/../shared")" "$scratch/shared"
fi
# The caller's environment must not stand in for what the clone lacks.
env -u VIRTUAL_ENV -u PYTHONPATH -u DATA_DIR -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$scratch/main" check test "$@"
