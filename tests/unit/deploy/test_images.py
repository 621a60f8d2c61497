"""Every image that somebody else publishes is pinned by its digest, in whatever file it stands."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from mastery_engine import __version__
from tests.support.kustomize import ROOT

OWN = "learnflow/mastery-engine"
PLACES = ("Dockerfile", "docker-compose.yml", "k8s", "deploy")
IMAGE = re.compile(r"^\s*(?:- )?(?:image:|FROM) +([^\s\"']+)", re.MULTILINE)
PINNED = re.compile(r"([a-z0-9./_-]+:[\w.-]+)@(sha256:[0-9a-f]{64})")


def texts(root: Path = ROOT) -> dict[Path, str]:
    """The files that may name an image, with their text."""
    files = [
        file for place in PLACES for file in ([root / place] if (root / place).is_file() else (root / place).rglob("*"))
    ]
    return {file: file.read_text() for file in files if file.is_file()}


def images(root: Path = ROOT) -> list[str]:
    return [image for text in texts(root).values() for image in IMAGE.findall(text)]


def test_every_image_but_our_own_has_a_digest_and_the_same_everywhere() -> None:
    digests = defaultdict(set)
    for image in images():
        if not image.startswith(OWN):
            pinned = PINNED.fullmatch(image)
            assert pinned, f"{image} has no digest: add it, see scripts/pin_images.sh"
            digests[pinned[1]].add(pinned[2])
    assert digests.keys() == {"python:3.11-slim-bookworm", "redis:7.4-alpine", "apache/kafka:4.3.1"}
    assert {len(of) for of in digests.values()} == {1}


def test_production_runs_a_version_and_no_tag_that_moves() -> None:
    overlay = (ROOT / "deploy/kubernetes/overlays/production/kustomization.yaml").read_text()
    assert f"name: {OWN}\n    newTag: {__version__}\n" in overlay


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for place in (*PLACES, "scripts/pin_images.sh"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (ROOT / place).is_dir() else shutil.copy
        copy(ROOT / place, tmp_path / place)
    return tmp_path


def renewed(copied: Path, registry: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A run of the script, with a `crane` that answers for the registry by a line of shell."""
    crane = copied / "bin" / "crane"
    crane.parent.mkdir(exist_ok=True)
    crane.write_text(f"#!/bin/sh\n{registry}\n")
    crane.chmod(0o755)
    path = {"PATH": f"{crane.parent}:/usr/bin:/bin"}
    script = [copied / "scripts" / "pin_images.sh", *arguments]
    return subprocess.run(script, env=path, capture_output=True, text=True, check=False)


def test_the_digests_are_renewed_in_all_files_at_once(copied: Path) -> None:
    before = texts(copied)
    newest = f"sha256:{'ab' * 32}"
    today = f'grep -rhoE "$2@sha256:[0-9a-f]+" {copied}/[Ddk]* | head -n 1 | cut -d @ -f 2'
    only_redis = f'case "$2" in redis:*) echo {newest} ;; *) {today} ;; esac'
    assert renewed(copied, only_redis, "--check").returncode == 1
    assert texts(copied) == before
    done = renewed(copied, only_redis)
    assert (done.returncode, done.stderr) == (0, "")
    assert "redis:7.4-alpine: now sha256:abab" in done.stdout
    assert "apache/kafka:4.3.1: up to date" in done.stdout
    after = texts(copied)
    changed = {str(file.relative_to(copied)) for file in before if before[file] != after[file]}
    assert changed == {"docker-compose.yml", "k8s/30-redis.yaml", "deploy/kubernetes/components/backup/backup.yaml"}
    assert {image for image in images(copied) if image.startswith("redis")} == {f"redis:7.4-alpine@{newest}"}
    assert renewed(copied, only_redis, "--check").returncode == 0


@pytest.mark.parametrize("registry", ["exit 1", "echo not-a-digest", "true"])
def test_what_a_registry_does_not_answer_changes_nothing(copied: Path, registry: str) -> None:
    before = texts(copied)
    assert renewed(copied, registry).returncode == 1
    assert texts(copied) == before
