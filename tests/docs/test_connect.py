"""The pages for administrators of platforms: what they show in ``bash`` is run as they would run it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.live import Live, environment
from tests.support.processes import ROOT

PAGES = sorted((ROOT / "docs" / "connect").glob("*.md"))
# What the commands of each page must have printed; a page that is new says here what it leads to.
LEADS_TO = {
    "README": ["secret: mes_"],
    "caliper": ["secret: mes_", '"status":"evidence"'],
    "canvas-lti": ["https://canvas.instructure.com may launch", "frames on: ", "https://school.instructure.com"],
    "canvas": ["secret: mes_", '"status":"evidence"'],
    "h5p": ["1 evidence", "0 ignored"],
    "moodle-lti": ["/lti/register?invitation=", "https://moodle.example.org may launch"],
    "moodle": ["1 evidence", "0 ignored"],
    "xapi": ["secret: mes_", "1 evidence, 1 ignored, 0 refused", '["fd41c918-b88b-4b20-a0a5-a4c32391aaa0","0d7a5b5e'],
    "openedx-lti": ["https://lms.example.org may launch", "https://apps.lms.example.org"],
    "openedx": ["1 evidence (2 events), 0 ignored, 0 refused"],
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("connect")
    with Live(home / "data", home=home, LOG_LEVEL="WARNING") as started:
        yield started


def test_each_page_is_here_and_in_the_index() -> None:
    assert {page.stem for page in PAGES} == LEADS_TO.keys()
    index = (ROOT / "docs" / "connect" / "README.md").read_text()
    assert set(re.findall(r"\]\(([\w-]+)\.md\)", index)) >= LEADS_TO.keys() - {"README"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_works(live: Live, tmp_path: Path, page: Path) -> None:
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)
    script = "\n".join(blocks).replace("http://localhost:8005", live.url)
    engine = tmp_path / "mastery-engine"
    engine.write_text(f'#!/bin/sh\nexec {sys.executable} -m mastery_engine "$@"\n')
    engine.chmod(0o755)
    given = environment(live.data_dir, live.settings) | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    for printed in LEADS_TO[page.stem]:
        assert printed in done.stdout
