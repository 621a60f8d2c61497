"""A tutorial is followed word for word: its commands and its Python, block after block, on an engine of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.live import Live, environment
from tests.support.processes import ROOT

SCIENTIST = (ROOT / "docs" / "tutorials" / "scientist.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", SCIENTIST, re.MULTILINE | re.DOTALL)
MARK = "== the end of a block =="


def run(command: list[str], live: Live, folder: Path) -> str:
    given = {
        **environment(live.data_dir, live.settings),
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(folder / "matplotlib"),
    }
    given["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    given["PYTHONPATH"] += f":{ROOT / 'clients' / 'python' / 'src'}"
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def shape(text: str) -> list[str]:
    """What of a printed table does not depend on the day: its words."""
    return re.findall(r"[A-Za-z_][\w-]*", text)


def test_the_scientists_tutorial_leads_to_two_classes_compared(tmp_path: Path) -> None:
    shell = [text for kind, text in BLOCKS if kind == "bash"]
    code = [text for kind, text in BLOCKS if kind == "python"]
    assert (len(shell), len(code)) == (1, 7)
    with Live(tmp_path / "data", home=tmp_path, LOG_LEVEL="WARNING") as live:
        run(["bash", "-euo", "pipefail", "-c", shell[0]], live, tmp_path)
        script = f"\nprint('{MARK}')\n".join(code).replace("http://localhost:8005", live.url)
        (tmp_path / "notebook.py").write_text(script)
        printed = run([sys.executable, "-W", "error", "notebook.py"], live, tmp_path).split(f"{MARK}\n")
    assert len(printed) == len(code)
    for place, (kind, text) in enumerate(BLOCKS):
        if kind == "text" and place and BLOCKS[place - 1][0] == "python" and place + 1 < len(BLOCKS):
            number = sum(1 for one, _ in BLOCKS[:place] if one == "python") - 1
            assert shape(text.splitlines()[0]) == shape(printed[number].splitlines()[0]), printed[number]
    assert int(re.search(r"queued +(\d+)", printed[0])[1]) > 1_500  # type: ignore[index]
    assert not re.search(r"refused +[1-9]", printed[0])
    assert printed[1].split() == ["processed", "processed"]
    assert re.search(r"^py-102 is [+-]0\.\d{3} ± 0\.\d{3} from py-101$", printed[5], re.MULTILINE)
    assert re.search(r"^completion [+-]0\.\d{3} \[", printed[6], re.MULTILINE)
    for picture in ("student.png", "classes.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_the_links_of_the_tutorials_lead_somewhere() -> None:
    for page in (ROOT / "docs" / "tutorials").glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)[)#]", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
