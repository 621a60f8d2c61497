"""The steps of the Dockerfile's build, run on this machine: no container can be built here, but its commands can."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from mastery_engine import __version__
from scripts.servers.cache import Unavailable, cached
from tests.support.real_servers import RealServers
from tests.support.requirements import ROOT, pins

UNREACHABLE = ("connection broken by", "Failed to establish a new connection", "Read timed out")

pytestmark = [pytest.mark.xdist_group("image"), pytest.mark.timeout(600)]


Step = tuple[str, str]


def steps() -> tuple[list[Step], list[Step]]:
    """The instructions of the build stage: those that the requirements decide, and those that our source does."""
    lines = (ROOT / "Dockerfile").read_text().partition("\nFROM python")[0].splitlines(keepends=True)
    stage = "".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    found = [(line.split()[0], line.partition(" ")[2]) for line in stage.splitlines() if line]
    assert [found.pop(0)[0], found.pop(0)[0]] == ["FROM", "WORKDIR"]
    source = next(n for n, (_, rest) in enumerate(found) if rest.startswith("pyproject.toml"))
    return found[:source], found[source:]


def do(wanted: list[Step], place: Path) -> None:
    """What the instructions say, in ``place`` as the root folder. Raises Unavailable without an index of packages."""
    work = place / "build"
    work.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HOME"))}
    environment |= {"PATH": f"{place}/opt/build/bin:{Path(sys.executable).parent}:/usr/bin:/bin"}
    environment |= {"PIP_NO_COMPILE": "1"}  # it costs seconds
    for instruction, rest in wanted:
        if instruction == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copied = work / target / ("" if (ROOT / source).is_dir() else Path(source).name)
                copied.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                copy(ROOT / source, copied)
        elif instruction == "RUN":
            line = rest.replace("/opt/", f"{place}/opt/").replace("--no-cache-dir ", "")
            done = subprocess.run(
                ["sh", "-ec", line], cwd=work, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode and any(words in done.stderr for words in UNREACHABLE):
                raise Unavailable(done.stderr)
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            assert (instruction, rest.split()[0]) == ("ENV", "PATH=/opt/build/bin:$PATH")


@pytest.fixture(scope="module")
def built(real_servers: RealServers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As an engine for containers does it: the layer of the requirements stays while they are the same."""
    first, second = steps()
    decided = [
        str(first),
        sys.version,
        *((ROOT / f).read_text() for f in ("requirements.txt", "requirements-build.txt")),
    ]
    version = hashlib.sha256("\n".join(decided).encode()).hexdigest()[:16]
    layer = real_servers.had("package index", lambda: cached("image", version, partial(do, first)))
    place = tmp_path_factory.mktemp("image")
    shutil.copytree(layer, place, symlinks=True, dirs_exist_ok=True)
    do(second, place)
    return place


def installed(built: Path) -> dict[str, str]:
    """The versions of all that is in the service's environment."""
    site = next((built / "opt/mastery-engine/lib").glob("python*/site-packages"))
    return {canonicalize_name(package.name): package.version for package in distributions(path=[str(site)])}


def bill(built: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((built / "build/sbom.cdx.json").read_text())
    return found


def test_the_environment_has_the_pinned_requirements_and_nothing_else(built: Path) -> None:
    pinned = {pin.name: pin.version for pin in pins("requirements.txt") if pin.is_for_here}
    assert installed(built) == {**pinned, "mastery-engine": __version__}


def test_the_service_runs_from_there(built: Path) -> None:
    command = built / "opt/mastery-engine/bin/mastery-engine"
    said = subprocess.run(
        [command, "--help"], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert "serve" in said.stdout


def test_the_bill_of_materials_is_valid_and_lists_what_was_installed(built: Path) -> None:
    from cyclonedx.schema import SchemaVersion  # seconds, which every process that collects tests would pay
    from cyclonedx.validation.json import JsonStrictValidator

    text = (built / "build/sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    allowed = {pin.name: pin.hashes for pin in pins("requirements.txt") if pin.is_for_here}
    listed = {}
    for part in bill(built)["components"]:
        name = canonicalize_name(part["name"])
        listed[name] = part["version"]
        assert part["purl"] == f"pkg:pypi/{name}@{part['version']}"
        (hashed,) = part["hashes"]
        assert hashed["alg"] == "SHA-256"
        assert hashed["content"] in allowed[name]
        assert part["licenses"], f"{name} declares no licence that the bill could name"
    ours = bill(built)["metadata"]["component"]
    assert listed | {ours["name"]: ours["version"]} == installed(built)


def test_the_bill_says_what_needs_what(built: Path) -> None:
    needs = {
        entry["ref"].partition("@")[0]: {ref.partition("@")[0] for ref in entry["dependsOn"]}
        for entry in bill(built)["dependencies"]
    }
    assert {"pkg:pypi/fastapi", "pkg:pypi/opentelemetry-sdk"} <= needs["pkg:pypi/mastery-engine"]
    assert needs["pkg:pypi/jinja2"] == {"pkg:pypi/babel", "pkg:pypi/markupsafe"}
    reached, waiting = set(), {"pkg:pypi/mastery-engine"}
    while waiting:
        reached |= waiting
        waiting = {other for ref in waiting for other in needs[ref]} - reached
    assert reached == needs.keys(), "nothing is there that nobody needs"


def test_a_bill_for_another_environment_is_refused(built: Path) -> None:
    report = json.loads((built / "build/report.json").read_text())
    report["install"][0]["metadata"]["version"] = "0.0.0"
    (built / "other.json").write_text(json.dumps(report))
    site = next((built / "opt/mastery-engine/lib").glob("python*/site-packages"))
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/sbom.py", built / "other.json", site],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "0.0.0, and the environment another version or none" in done.stderr
