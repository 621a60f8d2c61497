#!/usr/bin/env bash
# Writes requirements.txt and requirements-dev.txt from pyproject.toml: for every platform (markers), exact, without hosts.
# A pin stays as it is unless --upgrade is given. The extras that serve (traces, the pages of /docs, the token estimates) are in
# them, so that each works in the image and on a fresh machine.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=${UV:-.venv/bin/uv}
compile=("$uv" pip compile pyproject.toml --extra tracing --extra docs --extra tokens --universal --python-version 3.11 --quiet --no-header --no-annotate "$@")
note="# Made by \`make lock\` from pyproject.toml; don't edit."

pins=$(mktemp -d)
trap 'rm -rf "$pins"' EXIT
grep -v '^#' requirements.txt > "$pins/run.txt"
grep -v '^#\|^-r' requirements-dev.txt | cat "$pins/run.txt" - > "$pins/dev.txt"
"${compile[@]}" --output-file "$pins/run.txt"
"${compile[@]}" --group dev --constraints "$pins/run.txt" --output-file "$pins/dev.txt"
{ echo "$note"; cat "$pins/run.txt"; } > requirements.txt
{ echo "$note"; echo "-r requirements.txt"; grep -vxFf "$pins/run.txt" "$pins/dev.txt"; } > requirements-dev.txt
