"""Whatever is sent to whichever call: never a 500, always an answer that the OpenAPI document allows."""

import asyncio
import json
import os
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.calls import COMPONENTS, STUDENT, Api, document, event, serving
from tests.support.samples import DATA

EXAMPLES = int(os.environ.get("FUZZ_BODIES", "300"))
# All calls that take a body at a fixed address.
ZIP = "/rosters/oneroster"  # takes a zip and no JSON: see test_rosters
PATHS = sorted(
    path for path, operations in document()["paths"].items() if "post" in operations and "{" not in path and path != ZIP
)
KINDS = tuple(DATA)
GOOD: list[Any] = [
    {"student_id": STUDENT, "date": "2026-01-14", "include_components": True},
    {"student_id": STUDENT, "components": COMPONENTS, "record": True},
    {
        "student_id": STUDENT,
        "start_date": "2026-01-01",
        "end_date": "2026-01-31",
        "aggregation": "weekly",
        "format": "csv",
    },
    {"requests": [{"student_id": STUDENT, "components": COMPONENTS}], "record": False, "priority": "low"},
    {"student_id": STUDENT, "limit": 5, "priority": "medium"},
    {"student_id": STUDENT, "goal": "master_topic", "topic": "loops"},
    {"events": [event(kind) for kind in KINDS]},
    {"student_id": STUDENT, "cohort_id": "py-101", "metric": "by_component"},
    {"cohort_id": "py-101", "limit": 10, "cursor": "ksu_3NnoPkJa7qJzMQ"},
    *[{**event(kind), "metadata": {"cohort_id": "py-101"}, "source": "test"} for kind in KINDS],
]

EDGES = ["edX/DemoX/2026", "..", " ", "e\u0301", "\u2028", "\u202e", "\ufeff", "\ud800", "a@b.example", "x" * 301]
texts = st.text(max_size=8) | st.sampled_from(["", STUDENT, "2026-01-14", "\x00", "9" * 400, "a\n", "é", *EDGES])
numbers = st.integers() | st.floats() | st.sampled_from([0, -1, 10**40, 2**63, 1e308, 5e-324, 1_795_894_844_948, True])
leaves = st.none() | st.booleans() | numbers | texts
junk = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(texts | st.sampled_from(string.ascii_lowercase), inner, max_size=4)
    ),
    max_leaves=10,
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A good body with some of it replaced, left out or added; or junk; as bytes, some cut or changed."""
    body = draw(junk) if draw(st.integers(0, 9)) == 0 else _mutated(draw, draw(st.sampled_from(GOOD)))
    raw = json.dumps(body, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    match draw(st.integers(0, 11)):
        case 10:
            return b"\xef\xbb\xbf" + raw
        case 11:
            return raw.decode("utf-8", "replace").encode(draw(st.sampled_from(["utf-16", "utf-16-le", "utf-32"])))
        case 0:
            place = draw(st.integers(0, len(raw)))
            return raw[:place]
        case 1:
            place = draw(st.integers(0, len(raw)))
            return raw[:place] + draw(st.binary(min_size=1, max_size=3)) + raw[place + 1 :]
        case _:
            return raw


def _mutated(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict):
        changed = {name: _mutated(draw, inner) for name, inner in value.items() if draw(st.integers(0, 19))}
        if not draw(st.integers(0, 19)):
            changed[draw(texts)] = draw(junk)
        return changed
    if isinstance(value, list):
        return [_mutated(draw, inner) for inner in value]
    return value if draw(st.integers(0, 7)) else draw(junk)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Api]]:
    """One service for all examples."""
    folder: Path = tmp_path_factory.mktemp("fuzz")
    with asyncio.Runner() as loop:
        service = serving(folder, log_level="ERROR", dapr_trust_loopback=True)
        api = loop.run(service.__aenter__())
        yield loop, api
        loop.run(service.__aexit__(None, None, None))


@pytest.mark.parametrize("path", PATHS)
def test_no_body_breaks_a_call(runner: tuple[asyncio.Runner, Api], path: str) -> None:
    loop, api = runner

    @settings(max_examples=EXAMPLES // len(PATHS), deadline=None, suppress_health_check=list(HealthCheck))
    @given(content=bodies(), key=st.none() | st.text(string.printable, min_size=1, max_size=5))
    def one(content: bytes, key: str | None) -> None:
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = loop.run(api.post(path, content=content, headers=headers))
        assert answer.status_code in (200, 202, 400, 404), answer.text

    one()


ids = st.text(max_size=6) | st.sampled_from([STUDENT, "%00", "%ff", "..", "%2e%2e", "a%0a", "x" * 200, "a/b", "%252F"])


def test_no_path_breaks_a_call(runner: tuple[asyncio.Runner, Api]) -> None:
    loop, api = runner

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]),
        shape=st.sampled_from(["/students/{}/events/{}", "/batch/mastery/{}", "/{}", "/docs/{}", "/mastery/{}"]),
        first=ids,
        second=ids,
    )
    def one(method: str, shape: str, first: str, second: str) -> None:
        path = shape.format(quote(first, safe="%"), quote(second, safe="%"))
        answer = loop.run(api.call(method, path))
        assert answer.status_code in (200, 400, 404, 405, 415), answer.text

    one()


def test_after_all_that_the_service_is_well(runner: tuple[asyncio.Runner, Api]) -> None:
    loop, api = runner
    assert loop.run(api.get("/ready")).status_code == 200
    loop.run(api.learn(event("quiz", student_id="after-all-that")))
    assert loop.run(api.query("after-all-that"))["components"]["quiz"] == 0.9
    audit = api.engine.audit
    loop.run(audit.flush())
    assert not audit._pending, "the audit trail can still be written"
