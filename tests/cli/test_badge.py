"""``badge``: listed, shown, verified and revoked; keys listed and rotated."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mastery_engine import cli
from mastery_engine.cli.console import opened, operator, settings
from mastery_engine.domain.courses.course import CourseChange
from mastery_engine.domain.results import Updated
from tests.support.badges import FOREIGN, NEEDS_FOREIGN

ADDRESS = "https://mastery.school.example"


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["badge", *words])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PUBLIC_URL", ADDRESS)


def award(tenant: str = "default") -> None:
    async def awarded() -> None:
        async with opened(settings()) as engine:
            await engine.courses.put(operator(tenant), "py", CourseChange(title="Python", badges="expert"))
            at = time.time_ns() // 1_000
            result = Updated(tenant, "s_1", at, ("e",), 0.95, 0.1, "expert", (0.95,) * 4, 1.0, course_id="py")
            await engine.badges.follow([result])

    asyncio.run(awarded())


def test_a_badge_is_listed_shown_verified_and_revoked(tmp_path: Path) -> None:
    assert run("list").stdout == "There are no badges.\n"
    award("school-1")
    (entry,) = json.loads(run("list", "--tenant", "school-1", "--json").stdout)["badges"]
    badge_id = entry["badge_id"]
    assert badge_id.startswith("school-1.")
    assert "Python, expert, of s_1" in run("list", "--tenant", "school-1").stdout
    assert run("list").stdout == "There are no badges.\n"

    files = {}
    for form in ("json", "jwt"):
        files[form] = tmp_path / f"badge.{form}"
        files[form].write_text(run("show", badge_id, "--as", form).stdout)
        found = run("verify", str(files[form]))
        assert (found.exit_code, "The badge is good." in found.stdout) == (0, True), found.stdout
    assert json.loads(files["json"].read_text())["id"] == f"{ADDRESS}/badges/{badge_id}"
    assert run("show", badge_id, "--as", "xml").exit_code == 2
    changed = tmp_path / "changed.json"
    changed.write_text(files["json"].read_text().replace("Python", "Pascal"))
    verdict = json.loads(run("verify", str(changed), "--json").stdout)
    assert (verdict["verified"], [one["name"] for one in verdict["checks"] if not one["passed"]]) == (
        False,
        ["signature"],
    )

    first = json.loads(run("keys", "list", "--json").stdout)["keys"]
    key = json.loads(run("keys", "rotate", "--json").stdout)["key"]
    assert json.loads(run("keys", "list", "--json").stdout)["keys"] == [{**first[0], "signs_now": False}, key]
    assert run("verify", str(files["jwt"])).exit_code == 0
    assert run("revoke", badge_id).stdout.startswith(f"Revoked {badge_id}: Python, expert")
    for file in files.values():
        found = run("verify", str(file))
        assert (found.exit_code, "FAILED status: It was revoked." in found.stdout) == (1, True)
    assert run("revoke", "school-1." + "a" * 26).exit_code == 1


@NEEDS_FOREIGN
def test_a_badge_of_another_issuer_is_verified_by_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUBLIC_URL")
    ob30 = FOREIGN / "openbadges/ob30"
    good = run("verify", str(ob30 / "simple.json"))
    assert (good.exit_code, "whether the key is theirs was not checked" in good.stdout) == (0, True)
    assert run("verify", str(ob30 / "simple-jwt.svg")).exit_code == 0
    assert run("verify", str(ob30 / "simple-err-issuer.json")).exit_code == 1
    revoked = ob30 / "bit-string-list/credential-status-revoked.json"
    address = json.loads(revoked.read_text())["credentialStatus"]["statusListCredential"]
    unknown = run("verify", str(revoked))
    assert (unknown.exit_code, "nothing is fetched" in unknown.stdout) == (1, True)
    found = run("verify", str(revoked), "--status", f"{address}={ob30 / 'bit-string-list/testlist'}")
    assert (found.exit_code, "It was revoked." in found.stdout) == (1, True)
    assert run("verify", str(revoked), "--status", "x").exit_code == 2
    assert run("list").exit_code == 1
