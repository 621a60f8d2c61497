#!/usr/bin/env bash
# The quick tests with the oldest packages that pyproject.toml allows: a bound that is too low fails here, and not at a school.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=${UV:-.venv/bin/uv}
venv=.venv-oldest
"$uv" venv --quiet --clear --python "${PYTHON:-.venv/bin/python}" "$venv"
"$uv" pip install --quiet --python "$venv/bin/python" --resolution lowest-direct --editable ".[docs,tokens,tracing]"
pins=$(mktemp)
trap 'rm -f "$pins"' EXIT
"$uv" pip freeze --python "$venv/bin/python" --exclude-editable > "$pins"
"$uv" pip install --quiet --python "$venv/bin/python" --constraints "$pins" --group dev
"$venv/bin/python" -m pytest -n 2 --dist loadgroup --ignore tests/unit/lab --ignore tests/unit/deploy \
    tests/unit tests/http tests/mcp tests/cli tests/laws "$@"
