#!/usr/bin/env bash
# Names of src/ that nothing in src/ or scripts/ uses; what only a test uses is dead too.
set -euo pipefail
cd "$(dirname "$0")/.."

found=$(vulture) || [ $? -eq 3 ] # 3: it found something; anything else is a fault of its own
# Vulture cannot see that msgspec and Pydantic read the fields of a type, and reports each as a variable.
if grep '^src/' <<<"$found" | grep -v ': unused variable '; then
    exit 1
fi
