"""The client as a distribution: built, and installed in an empty environment that has httpx and msgspec alone."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mastery_client.sending import AGENT
from tests.support.client import School
from tests.support.processes import ROOT

pytestmark = pytest.mark.xdist_group("client")

SOURCE = ROOT / "clients" / "python"
NEEDED = ("httpx", "httpcore", "h11", "anyio", "certifi", "idna", "sniffio", "typing_extensions", "msgspec")
PROGRAM = """
import sys
from mastery_client import MasteryClient, FramesNotInstalled
with MasteryClient(sys.argv[1], token=sys.argv[2]) as engine:
    print(engine.query("s5").student_id)
    try:
        engine.history("s5").to_frame()
    except FramesNotInstalled as error:
        print(error)
print(sorted({name.partition(".")[0] for name in sys.modules} & {"pandas", "numpy", "mastery_engine", "pydantic"}))
"""


def run(*command: Any, cwd: Path) -> str:
    given = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_wheel_is_built_and_runs_with_nothing_but_what_it_names(school: School, tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "--directory", tmp_path / "dist", cwd=SOURCE)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    assert (wheel.name, sdist.name) == (
        "mastery_engine_client-1.0.0-py3-none-any.whl",
        "mastery_engine_client-1.0.0.tar.gz",
    )
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read("mastery_engine_client-1.0.0.dist-info/METADATA").decode()
    assert f"mastery-engine-client/{wheel.name.split('-')[1]}" == AGENT
    assert "mastery_client/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {"mastery_client", "mastery_engine_client-1.0.0.dist-info"}
    wants = sorted(line.partition(": ")[2] for line in metadata.splitlines() if line.startswith("Requires-Dist"))
    assert wants == ["httpx>=0.25", "msgspec>=0.18.5", "pandas>=2.1; extra == 'frames'"]

    venv.create(tmp_path / "empty", with_pip=False)
    (site,) = (tmp_path / "empty").glob("lib/python*/site-packages")
    here = Path(pytest.__file__).parents[1]
    for name in NEEDED:  # what an installer would bring, without a registry
        found = here / name if (here / name).exists() else here / f"{name}.py"
        (site / found.name).symlink_to(found)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    said = run(tmp_path / "empty" / "bin" / "python", "-c", PROGRAM, school.url, school.admin, cwd=tmp_path)
    assert said.splitlines() == ["s5", 'Data frames need pandas: pip install "mastery-engine-client[frames]"', "[]"]
