#!/usr/bin/env bash
# Makes the virtual environment named by $1, with pip in it, from the first Python that is new enough.
set -euo pipefail
venv=$1

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# A version manager's python3.11 may be a shim that only says the version is absent: so each candidate is run, not looked up.
if [ -n "${PYTHON:-}" ]; then
    candidates=("$PYTHON")
else
    candidates=(python3.11 python3 python3.12 python3.13 python3.14 /usr/bin/python3.11 /usr/bin/python3)
fi
python=
for candidate in "${candidates[@]}"; do
    if new_enough "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    {
        echo "Mastery Engine needs Python 3.11 or newer; none of these is: ${candidates[*]}"
        echo "Debian and Ubuntu: apt-get install python3.11 python3.11-venv. Elsewhere: make setup PYTHON=/path/to/python3.11"
    } >&2
    exit 1
fi

has_pip() { new_enough "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; }

if has_pip; then
    exit 0
fi

# Debian splits ensurepip off into python3-venv: without it, virtualenv, uv or the system's own pip serve as well.
attempts=(
    "$python -m venv --clear"
    "$python -m virtualenv --clear"
    "uv venv --clear --seed --python $python"
)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for attempt in "${attempts[@]}"; do
    if $attempt "$venv" >>"$log" 2>&1 && has_pip; then
        echo "$venv: $("$venv/bin/python" --version)"
        exit 0
    fi
done
if "$python" -m venv --clear --without-pip "$venv" >>"$log" 2>&1 &&
    "$python" -m pip --python "$venv/bin/python" install --quiet pip >>"$log" 2>&1 && has_pip; then
    echo "$venv: $("$venv/bin/python" --version)"
    exit 0
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
{
    head -n 12 "$log"
    echo "$python cannot make a virtual environment with pip in it."
    echo "Debian and Ubuntu: apt-get install python$version-venv, then the same command again."
} >&2
rm -rf "$venv"
exit 1
