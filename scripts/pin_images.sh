#!/usr/bin/env bash
# Renews the digest of each pinned image (name:tag@sha256:…) in the files for containers: what its registry has under the tag now.
# Asks by crane, skopeo or docker buildx, whichever is there. --check changes nothing, and fails if a digest is out of date.
set -euo pipefail
cd "$(dirname "$0")/.."

files=(Dockerfile docker-compose.yml k8s deploy)
pinned='[a-z0-9][a-z0-9./_-]*:[A-Za-z0-9._-]+@sha256:[0-9a-f]{64}'

digest_of() {
    if command -v crane >/dev/null; then
        crane digest "$1"
    elif command -v skopeo >/dev/null; then
        skopeo inspect --no-tags --format '{{.Digest}}' "docker://$1"
    else
        docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$1"
    fi
}

old=
for image in $(grep --recursive --no-filename --only-matching --extended-regexp "$pinned" "${files[@]}" | sort --unique); do
    name=${image%@*}
    digest=$(digest_of "$name")
    if ! [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]]; then
        echo "$name: the registry gave no digest but '$digest'" >&2
        exit 1
    fi
    if [ "$image" = "$name@$digest" ]; then
        echo "$name: up to date"
    elif [ "${1:-}" = --check ]; then
        echo "$name: now $digest"
        old=$name
    else
        grep --recursive --files-with-matches --fixed-strings "$image" "${files[@]}" |
            while read -r file; do
                sed "s|${image//./\\.}|$name@$digest|g" "$file" > "$file.new"
                mv "$file.new" "$file"
            done
        echo "$name: now $digest"
    fi
done
test -z "$old"
