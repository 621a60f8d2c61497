"""What has no canonical form, and that none takes long."""

import json
import time
from typing import Any

import pytest

from mastery_engine.out.badges.canonical import DEEPEST, MOST_ALIKE, NotCanonical, canonical
from mastery_engine.out.badges.contexts import BUNDLED, CREDENTIALS, OPEN_BADGES, UnknownContext, context
from tests.support.badges import signed_badge

HEAD: dict[str, Any] = {
    "@context": [CREDENTIALS, OPEN_BADGES],
    "type": ["VerifiableCredential", "AchievementCredential"],
}


def profile(children: int, depth: int, spelling: int = 0) -> dict[str, Any]:
    """Organisations within organisations, all alike, each written in another way."""
    inner = [profile(children, depth - 1, spelling + place) for place in range(children)] if depth else []
    fields: list[tuple[str, Any]] = [("type", "Profile"), ("name", ["x"] * (1 + spelling % 3)), ("parentOrg", inner)]
    turned = fields if spelling % 2 else fields[::-1]
    return {name: value for name, value in turned if value}


@pytest.mark.parametrize(("children", "depth"), [(6, 1), (3, 2), (2, 3), (7, 2), (40, 1)])
def test_nodes_that_are_alike_are_refused_before_they_cost_time(children: int, depth: int) -> None:
    started = time.perf_counter()
    with pytest.raises(NotCanonical, match="too often"):
        canonical({**HEAD, "issuer": profile(children, depth)})
    assert time.perf_counter() - started < 2


def test_a_few_that_are_alike_are_told_apart() -> None:
    written = canonical({**HEAD, "issuer": profile(MOST_ALIKE, 1)})
    assert written.count('"x"') == MOST_ALIKE + 1


def test_the_order_and_the_blanks_of_a_document_do_not_matter() -> None:
    document = signed_badge()
    turned = json.loads(json.dumps(dict(reversed(document.items()))))
    del document["proof"], turned["proof"]
    assert canonical(document) == canonical(turned)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"@context": []},
        {"@context": [{}]},
        {"@context": [CREDENTIALS] * 20},
        {**HEAD, "issuer": {"id": "_:b0"}},
        {**HEAD, "https://schema.org/name": "x"},
        {**HEAD, "@graph": []},
        {**HEAD, "issuer": {"@context": {"x": "y:z"}, "id": "a:b"}},
        {**HEAD, "id": "relative"},
        {**HEAD, "tag": ["x"] * 6_000},
        {**HEAD, "validFrom": {"@value": "x"}},
    ],
)
def test_what_has_no_canonical_form(document: dict[str, Any]) -> None:
    with pytest.raises(NotCanonical):
        canonical(document)


def test_a_document_may_not_be_deep() -> None:
    deep: Any = "x"
    for _ in range(DEEPEST + 1):
        deep = [deep]
    with pytest.raises(NotCanonical, match="deeper"):
        canonical({**HEAD, "name": deep})


def test_contexts_are_those_of_the_package_as_they_were_published(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in BUNDLED:
        assert "@context" in context(address)
    with pytest.raises(UnknownContext, match="fetches none"):
        context("https://www.w3.org/ns/credentials/v2/")
    package, name, _ = BUNDLED[OPEN_BADGES]
    monkeypatch.setattr("mastery_engine.out.badges.contexts.BUNDLED", {"https://x.example/": (package, name, "0" * 64)})
    with pytest.raises(UnknownContext, match="not as it was published"):
        context("https://x.example/")
