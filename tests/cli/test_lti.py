"""``lti``: platforms are connected, listed, removed and invited, each beside whatever runs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mastery_engine import cli

ADDRESSES = ("--auth-url", "https://lms.example/auth", "--token-url", "https://lms.example/token")
ADDRESSES += ("--jwks-url", "https://lms.example/jwks")
NAMED = ("--issuer", "https://lms.example", "--client-id", "tool-1")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["lti", *words])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PUBLIC_URL", "https://mastery.example")


def test_a_platform_is_added_listed_and_removed() -> None:
    assert run("list").stdout == "There are no learning platforms.\n"
    added = run(
        "add", *NAMED, "--deployment-id", "1", *ADDRESSES, "--tenant", "school-1", "--course", "python", "--json"
    )
    entry = json.loads(added.stdout)
    assert (entry["deployment_ids"], entry["tenant"], entry["course_id"]) == (["1"], "school-1", "python")
    more = run(
        "add", *NAMED, "--deployment-id", "2", *ADDRESSES, "--tenant", "school-1", "--origin", "https://a.example"
    )
    assert "deployments: 1, 2" in more.stdout
    assert "frames on: https://lms.example, https://a.example" in more.stdout
    (listed,) = json.loads(run("list", "--json").stdout)["platforms"]
    assert (listed["issuer"], listed["client_id"]) == ("https://lms.example", "tool-1")
    assert json.loads(run("list", "--tenant", "school-2", "--json").stdout) == {"platforms": []}
    other = run("add", *NAMED, "--deployment-id", "3", *ADDRESSES, "--tenant", "school-2")
    assert (other.exit_code, "another tenant" in str(other.exception)) == (1, True)
    assert run("remove", *NAMED).stdout == "Removed https://lms.example as tool-1.\n"
    assert run("remove", *NAMED).exit_code == 1


def test_an_invitation_is_an_address_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (json.loads(run("invite", "--json").stdout)["url"] for _ in range(2))
    assert one.startswith("https://mastery.example/lti/register?invitation=")
    assert one != other
    assert len(one.partition("=")[2]) >= 43  # 256 bits in Base64
    monkeypatch.delenv("PUBLIC_URL")
    refused = run("invite")
    assert (refused.exit_code, "PUBLIC_URL" in str(refused.exception)) == (1, True)


def test_addresses_are_https() -> None:
    plain = [word.replace("https:", "http:") for word in ADDRESSES]
    refused = run("add", *NAMED, "--deployment-id", "1", *plain)
    assert (refused.exit_code, "LTI_ALLOW_PRIVATE" in str(refused.exception)) == (1, True)
    assert run("add", *NAMED, "--deployment-id", "1").exit_code == 2


@pytest.mark.parametrize(("name", "field"), [("--token-url", "token_url"), ("--jwks-url", "jwks_url")])
def test_addresses_that_would_never_be_called_are_refused_before_the_first_launch(name: str, field: str) -> None:
    inside = list(ADDRESSES)
    inside[inside.index(name) + 1] = "https://10.0.0.7/lms"
    refused = run("add", *NAMED, "--deployment-id", "1", *inside)
    assert (refused.exit_code, str(refused.exception)[: len(field)]) == (1, field)
    assert "LTI_ALLOW_PRIVATE=true" in str(refused.exception)
    assert run("list").stdout == "There are no learning platforms.\n"
