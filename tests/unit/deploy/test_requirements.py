"""All that is installed is pinned, with the hash of each file, and agrees with ``pyproject.toml``."""

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.requirements import ROOT, pins

FILES = ("requirements.txt", "requirements-dev.txt", "requirements-build.txt")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def wanted(*requirements: str) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


@pytest.mark.parametrize("file", FILES)
def test_every_line_has_one_version_and_the_hash_of_each_file(file: str) -> None:
    assert len(pins(file)) >= 6
    for pin in pins(file):
        assert pin.version
        assert pin.hashes, pin.name


def test_the_files_have_what_the_project_names_and_agree_with_one_another() -> None:
    project, extras = PROJECT["project"], PROJECT["project"]["optional-dependencies"]
    served = [*project["dependencies"], *extras["docs"], *extras["tokens"], *extras["tracing"]]
    run, dev, build = ({pin.name for pin in pins(file)} for file in FILES)
    assert wanted(*served) <= run
    groups = PROJECT["dependency-groups"]
    assert {"include-group": "site"} in groups["dev"]
    assert wanted(*(one for one in groups["dev"] if isinstance(one, str)), *groups["site"]) <= run | dev
    assert wanted(*PROJECT["build-system"]["requires"]) <= build
    both = [pin.requirement for file in FILES[:2] for pin in pins(file) if pin.name in run & dev]
    told_apart = {(each.name, *each.extras, str(each.marker)) for each in both}
    assert len(told_apart) == len(both)  # what stands twice has an extra or a platform more
    versions = {(pin.name, str(pin.requirement.marker)): pin.version for file in FILES for pin in pins(file)}
    for file in FILES:
        for pin in pins(file):
            assert versions[pin.name, str(pin.requirement.marker)] == pin.version, f"{file} has another {pin.name}"


def test_what_installed_packages_ask_of_one_another_is_pinned_with_its_extras() -> None:
    """Without its extra in the pin, pip looks for a version anew, and finds one that has no hash here."""
    pinned = {
        (pin.name, extra) for file in FILES for pin in pins(file) for extra in ("", *sorted(pin.requirement.extras))
    }
    for name in sorted({name for name, extra in pinned if not extra}):
        try:
            asked = distribution(name).requires or []
        except PackageNotFoundError:  # for another platform
            continue
        extras = [extra for other, extra in pinned if other == name]
        for requirement in map(Requirement, asked):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                asked_for = {(canonicalize_name(requirement.name), extra) for extra in ("", *requirement.extras)}
                assert asked_for <= pinned, f"{name} asks for {requirement}"


def test_a_file_with_another_hash_is_refused(tmp_path: Path) -> None:
    """Whoever answers in the index's place cannot put a file of their own under a pinned version."""
    (wheel,) = [pin for pin in pins("requirements-build.txt") if pin.name == "pluggy"]
    tampered = tmp_path / "requirements.txt"
    tampered.write_text(f"{wheel.requirement} --hash=sha256:{'0' * 64}\n")
    source = tmp_path / "files"
    source.mkdir()
    (source / f"pluggy-{wheel.version}-py3-none-any.whl").write_bytes(b"not what was pinned")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-index", "--find-links", str(source)]
    done = subprocess.run(
        [*command, "--dest", str(tmp_path / "got"), "-r", str(tampered)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
