"""``webhook``: set, tried, listed, sent again and removed, each beside whatever runs."""

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner, Result

from mastery_engine import cli
from mastery_engine.cli.console import opened, settings
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.deliveries import Delivery
from mastery_engine.services.known_webhooks import unpack_webhook

STATUSES: list[int] = []


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["webhook", *words])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WEBHOOK_ALLOW_PRIVATE", "true")


@pytest.fixture
def url() -> Iterator[str]:
    """A receiver that answers with ``STATUSES``, and else takes what comes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(STATUSES.pop(0) if STATUSES else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 it is the library's
            """Nothing on stderr."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_webhook_is_set_tried_listed_and_removed(url: str) -> None:
    first = json.loads(run("put", "lms", "--url", url, "--type", "mastery.events", "--json").stdout)
    assert first["secret"].startswith("whsec_")
    again = run("put", "lms", "--description", "The LMS")
    assert again.stdout == f"lms (The LMS): mastery.events to {url}, active\n"
    rotated = run("put", "lms", "--rotate-secret").stdout
    assert "secret: whsec_" in rotated
    assert first["secret"] not in rotated
    assert run("show", "lms").stdout == again.stdout == run("list").stdout
    assert run("list", "--tenant", "school-1").stdout == "There are no webhooks.\n"
    tried = run("test", "lms")
    assert (tried.exit_code, "delivered, answered 204." in tried.stdout) == (0, True)
    STATUSES.append(500)
    tried = run("test", "lms")
    assert (tried.exit_code, "not delivered, answered 500." in tried.stdout) == (1, True)
    assert run("deliveries", "lms").stdout == "There are none.\n"
    assert "not active, since it was switched off" in run("put", "lms", "--off").stdout
    assert run("delete", "lms").stdout == "Removed lms, with 0 deliveries.\n"
    assert run("show", "lms").exit_code == 1


def test_deliveries_are_listed_and_sent_again(url: str) -> None:
    """The running worker sends them: here it is seen which one waits."""
    run("put", "lms", "--url", url)
    asyncio.run(queue("lms", "m-1"))
    line = "m-1  1970-01-01T00:00:00.000001Z  mastery.updated  ada  waiting, 0 attempts"
    assert run("deliveries", "lms").stdout.startswith(line)
    assert run("deliveries", "lms", "--state", "failed").stdout == "There are none.\n"
    assert run("resend", "lms", "m-1").stdout == "m-1 is sent again.\n"
    assert run("resend", "lms", "m-2").exit_code == 1


async def queue(webhook_id: str, delivery_id: str) -> None:
    """Queue a message for a webhook, as the worker does."""
    async with opened(settings()) as engine:
        (entry,) = await engine.purge._stores.registry.find("webhooks", [f"default/{webhook_id}"], 1)
        assert entry is not None
        sink, student = unpack_webhook(entry.value).sink, StudentKey("default", "ada")
        message = Delivery(sink, delivery_id, "ada", student, 1, 1, b'{"type": "mastery.updated"}')
        await engine.purge._stores.deliveries.enqueue([message])


def test_what_cannot_be_set_says_why() -> None:
    assert run("put", "lms").exit_code == 1
    assert run("put", "lms", "--url", "ftp://a.example.org").exit_code == 1
    assert run("put", "lms", "--url", "https://a.example.org", "--type", "mastery.dlq").exit_code == 1
    assert run("put").exit_code == 2
    assert run("deliveries", "lms", "--state", "lost").exit_code == 2
