"""What docs/profiles.md shows is what the commands print, and what it lists is what there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mastery_engine.doors.profiles.reading import DOORS, IN_A_RULE, IN_A_SOURCE, SCORE_PARTS, TOP
from tests.support.processes import ROOT
from tests.support.profiles import shipped

GUIDE = (ROOT / "docs" / "profiles.md").read_text()


def shown(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (statements,) = shown("json")
    (own,) = shown("yaml")
    (tmp_path / "statements.json").write_text(statements)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "library.yaml").write_text(own)
    return tmp_path


def test_the_commands_print_what_is_shown(folder: Path) -> None:
    commands = [one for block in shown("console") for one in re.split(r"^\$ ", block, flags=re.MULTILINE) if one]
    assert len(commands) == 3
    for one in commands:
        command, _, printed = one.partition("\n")
        said = command.replace("mastery-engine", f"{sys.executable} -m mastery_engine")
        environ = {**os.environ, "DATA_DIR": str(folder / "data")}
        done = subprocess.run(said, shell=True, cwd=folder, env=environ, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, printed), done.stderr


def test_every_shipped_profile_is_listed_with_its_door() -> None:
    listed = re.findall(r"^\| `([\w-]+)` \| (\w+) \|", GUIDE, re.MULTILINE)
    assert sorted(listed) == sorted((one.name, one.door.name) for one in shipped().all_profiles)


def test_every_part_of_the_language_is_named() -> None:
    parts = [*TOP, *IN_A_RULE, *IN_A_SOURCE, *SCORE_PARTS, "each", "present", "begins", "done"]
    assert [part for part in parts if f"`{part}" not in GUIDE and f"{{{part}:" not in GUIDE] == []
    for door in DOORS.values():
        assert [short for short in door.short if f"`{short}`" not in GUIDE] == []
