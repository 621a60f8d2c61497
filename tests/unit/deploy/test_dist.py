"""Wheel and sdist: the same bytes from the sdist, at any time and place; whole; one version everywhere."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from mastery_engine import __version__
from scripts.dist import built, digests
from tests.support.processes import ROOT

EPOCH = "1700000000"
SHOWN = "docs/runbooks.md"  # by the dashboard: the wheel has it beside the pages
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def files() -> list[str]:
    named = ["src", SHOWN, "*.toml", "README.md", "LICENSE"]
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *named]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in found if (ROOT / name).is_file()]


@dataclass(frozen=True)
class Built:
    """Where the distributions of this tree are, built twice."""

    first: Path
    second: Path

    @property
    def wheel(self) -> Path:
        return self.first / f"mastery_engine-{__version__}-py3-none-any.whl"

    @property
    def sdist(self) -> Path:
        return self.first / f"mastery_engine-{__version__}.tar.gz"


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """From one folder the sdist, and the wheel from that; from another one, whose files are of today, the wheel."""
    home = tmp_path_factory.mktemp("dist")
    for place in ("here", "in another place"):
        for name in files():
            (home / place / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copy2 if place == "here" else shutil.copyfile)(ROOT / name, home / place / name)
    built(home / "here", home / "first", epoch=EPOCH)
    built(home / "in another place", home / "second", "--wheel", epoch=EPOCH)
    return Built(home / "first", home / "second")


def test_the_sdist_builds_the_same_wheel_as_the_tree_elsewhere_and_later(distributions: Built) -> None:
    first, second = digests(distributions.first), digests(distributions.second)
    assert first.keys() == {distributions.wheel.name, distributions.sdist.name}
    assert second == {distributions.wheel.name: first[distributions.wheel.name]}


def test_both_hold_every_file_of_the_package_and_nothing_else(distributions: Built) -> None:
    """Templates, icons, catalogues, parameters and profiles too; in the sdist also the brief's own paths."""
    package = {name for name in files() if name.startswith("src/mastery_engine/")}
    assert {"html", "yaml", "po", "msgpack", "js", "css"} <= {name.rpartition(".")[2] for name in package}
    with zipfile.ZipFile(distributions.wheel) as wheel:
        inside = {f"src/{name}" for name in wheel.namelist() if ".dist-info/" not in name}
        (entries,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
        assert f"mastery-engine = {PROJECT['scripts']['mastery-engine']}" in wheel.read(entries).decode()
        shown = wheel.read("mastery_engine/http/dashboard/runbooks.md")
    assert inside == package | {"src/mastery_engine/http/dashboard/runbooks.md"}
    assert shown == (ROOT / SHOWN).read_bytes()
    with tarfile.open(distributions.sdist) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    assert {name for name in files() if name.startswith("src/")} | {"README.md", "LICENSE", "pyproject.toml"} <= held
    assert not any(name.startswith(("tests", "docs/", "scripts", ".venv")) for name in held - {SHOWN})


def test_the_package_runs_from_its_wheel_alone(distributions: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(distributions.wheel) as wheel:
        wheel.extractall(tmp_path)
    run = "import mastery_engine, sys; print(mastery_engine.__file__, file=sys.stderr); mastery_engine.cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", f"import mastery_engine.cli; {run}", "openapi"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.strip() == str(tmp_path / "mastery_engine" / "__init__.py")
    assert json.loads(done.stdout)["info"]["version"] == __version__


def test_one_version_stands_everywhere() -> None:
    """What names it: the package, the image, the manifests, the contracts, the upgrade, the changes."""
    assert PROJECT["version"] == __version__
    for path, pattern in (
        ("Dockerfile", r'image\.version="([^"]+)"'),
        ("deploy/kubernetes/overlays/production/kustomization.yaml", r"newTag: (\S+)"),
        ("docs/operations.md", r"mastery-engine=learnflow/mastery-engine:(\S+?)`"),
        ("docs/releases.md", r"This is version (\d+\.\d+\.\d+)"),
        ("CHANGELOG.md", r"^## (?:Unreleased: towards )?(\d+\.\d+\.\d+)"),
        ("specs/003-mastery-engine/contracts/openapi.json", r'"version": "(\d+\.\d+\.\d+)"'),
        ("specs/003-mastery-engine/contracts/asyncapi.json", r'"version": "(\d+\.\d+\.\d+)"'),
    ):
        assert re.findall(pattern, (ROOT / path).read_text(), re.MULTILINE)[:1] == [__version__], path
