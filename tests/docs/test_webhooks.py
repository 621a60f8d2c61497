"""What ``docs/webhooks.md`` shows and says is so: its commands, its calls, its example, and its numbers."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from standardwebhooks import Webhook

from mastery_engine.domain.moments import DAY, SECOND
from mastery_engine.domain.results import Message
from mastery_engine.out.retries import FIRST_PAUSE, GROWTH, LONGEST_PAUSE, TRIED_FOR
from mastery_engine.out.webhooks.signing import shown_secret, signed_headers
from mastery_engine.out.webhooks.webhook import NAMES, OF_TOPIC, ROTATION, Payload, WebhookChange
from mastery_engine.outbound.addresses import PRIVATE
from mastery_engine.ports.deliveries import ENDED_LIFE
from mastery_engine.services.receivers import SENT_WITHIN_S
from mastery_engine.services.webhooks import MOST_WEBHOOKS
from tests.support.calls import document
from tests.support.live import ROOT, environment

PAGE = (ROOT / "docs" / "webhooks.md").read_text()
WORDS = re.sub(r"\s+", " ", PAGE)


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_its_commands_run(tmp_path: Path) -> None:
    engine = tmp_path / "mastery-engine"
    engine.write_text(f'#!/bin/sh\nexec {sys.executable} -m mastery_engine "$@"\n')
    engine.chmod(0o755)
    given = environment(tmp_path / "data", {}) | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = "\n".join(blocks("bash")).replace("lms.example.org", "127.0.0.2:9999")  # a name that nobody has to look up
    given["WEBHOOK_ALLOW_PRIVATE"] = "true"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=given,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "secret: whsec_" in done.stdout
    assert "the receiver does not answer yet" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("lms: mastery.events to https://")


def test_its_calls_are_all_there_are() -> None:
    named = set(re.findall(r"`((?:GET|PUT|POST|DELETE) /webhooks[^` ]*)`", PAGE))
    documented = {
        f"{method.upper()} {path}"
        for path, operations in document()["paths"].items()
        for method in operations
        if path.startswith("/webhooks")
    }
    assert named == documented


def test_its_example_is_a_message_and_passes_the_check_that_it_shows() -> None:
    (example,) = blocks("json")
    payload = msgspec.json.decode(example, type=Payload)
    assert (payload.type, payload.timestamp) == (payload.data.event_type, payload.data.timestamp)
    assert set(json.loads(example)["data"]) <= set(Message.__struct_fields__)
    secret, body = b"k" * 32, example.encode()
    now = int(datetime.now(UTC).timestamp()) * SECOND
    names = {
        "secret": shown_secret(secret),
        "body": body,
        "headers": dict(signed_headers(payload.data.event_id, body, now, [secret])),
    }
    (shown,) = blocks("python")
    exec(compile(shown, "docs/webhooks.md", "exec"), names)  # noqa: S102: what the page shows
    assert names["payload"] == json.loads(example)
    assert names["Webhook"] is Webhook


def test_its_fields_types_and_numbers_are_the_real_ones() -> None:
    table = PAGE.partition("| field of a PUT | |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(WebhookChange.__struct_fields__)
    for name in NAMES:
        assert f"`{name}`" in table
    assert set(OF_TOPIC) == {"mastery.results", "mastery.events"}
    assert f"up to {MOST_WEBHOOKS} webhooks" in WORDS
    assert f"within {SENT_WITHIN_S:g} seconds" in WORDS
    assert (FIRST_PAUSE, GROWTH, LONGEST_PAUSE, TRIED_FOR) == (5 * SECOND, 3, 3_600 * SECOND, DAY)
    assert "after 5 seconds, then after pauses that grow threefold up to an hour, for 24 hours" in WORDS
    assert (ROTATION, ENDED_LIFE) == (DAY, 7 * DAY)
    for network in PRIVATE:
        short = str(network).replace(".0.0.0/", "/").replace(".0.0/", "/").removesuffix("/128")
        assert short in PAGE.replace("172.16/12", "172.16/12"), short
