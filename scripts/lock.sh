#!/usr/bin/env bash
# Writes requirements.txt, requirements-dev.txt and requirements-build.txt from pyproject.toml: for every platform (markers), exact,
# with the hash of each file that may be installed, without hosts. A pin stays as it is unless --upgrade is given.
# The extras that serve (traces, the pages of /docs, the token estimates) are in them, so that each works in the image and on a
# fresh machine. requirements-build.txt is what builds our own package; by its own name pip would fetch the newest, unseen.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-.venv/bin/python}
uv=${UV:-.venv/bin/uv}
compile=("$uv" pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras --quiet --no-header --no-annotate "$@")
project=(pyproject.toml --extra tracing --extra docs --extra tokens)
note="# Made by \`make lock\` from pyproject.toml; don't edit."

pins=$(mktemp -d)
trap 'rm -rf "$pins"' EXIT
touch requirements-build.txt
grep -v '^#' requirements.txt > "$pins/run.txt"
grep -v '^#\|^-r' requirements-dev.txt | cat "$pins/run.txt" - > "$pins/dev.txt"
grep -v '^#' requirements-build.txt > "$pins/build.txt" || true
"$python" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' > "$pins/build.in"

"${compile[@]}" "${project[@]}" --output-file "$pins/run.txt"
"${compile[@]}" "${project[@]}" --group dev --constraints "$pins/run.txt" --output-file "$pins/dev.txt"
"${compile[@]}" "$pins/build.in" --constraints "$pins/dev.txt" --output-file "$pins/build.txt"
{ echo "$note"; cat "$pins/run.txt"; } > requirements.txt
# What is pinned in both with the same extras stands in the first alone; an extra more is a pin of its own.
{ echo "$note"; echo "-r requirements.txt"; "$python" - "$pins/run.txt" "$pins/dev.txt" <<'PYTHON'; } > requirements-dev.txt
import re
import sys

run, dev = (re.split(r"\n(?=\S)", open(name).read().strip()) for name in sys.argv[1:])
print(*[pin for pin in dev if pin not in run], sep="\n")
PYTHON
{ echo "$note"; cat "$pins/build.txt"; } > requirements-build.txt
