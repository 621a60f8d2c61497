"""What the ingress publishes: the calls that users make and nothing else, however an address is written."""

import asyncio
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from mastery_engine.http.agents import ROUTE as AGENTS
from mastery_engine.http.app import PARTS
from mastery_engine.http.middleware.body import MAX_BODY, largest_body
from mastery_engine.http.xapi.routes import ROUTES as XAPI
from tests.support.calls import Api, listening

INGRESS = Path(__file__).parents[2] / "deploy" / "kubernetes" / "components" / "ingress" / "ingress.yaml"
PARTS_OF_IT = list(yaml.safe_load_all(INGRESS.read_text()))
RULES: list[dict[str, Any]] = [
    rule for part in PARTS_OF_IT for host in part["spec"]["rules"] for rule in host["http"]["paths"]
]
ROUTES = sorted(
    {
        AGENTS.path,
        "/openapi.json",
        *[route.path for route in XAPI],
        *(route.path for part in PARTS for route in part.router.routes),
    }
)
BODY_SIZE = "nginx.ingress.kubernetes.io/proxy-body-size"
INTERNAL = {"/metrics", "/ready", "/process", "/dapr/subscribe", "/dapr/events"}
FORWARDING = ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via"]


def elements(path: str) -> list[str]:
    return [element for element in path.split("/") if element]


def is_published(path: str) -> bool:
    """As the Ingress specification matches: the same text, or the same first elements."""
    for rule in RULES:
        wanted = elements(rule["path"])
        if path == rule["path"] or (rule["pathType"] == "Prefix" and elements(path)[: len(wanted)] == wanted):
            return True
    return False


def spellings(path: str) -> Iterator[str]:
    """An address as an attacker may write it."""
    first, rest = path[1], path[2:]
    yield path
    yield f"/%{ord(first):02x}{rest}"
    yield f"/%25{ord(first):02x}{rest}"
    yield "/" + "".join(f"%{ord(letter):02X}" for letter in path[1:])
    yield f"/{path}"
    yield f"/.{path}"
    yield f"{path}/"
    yield f"{path};a=b"
    yield f"{path}?a=b"
    yield path.upper()
    for way in (
        "/mastery/..",
        "/mastery/%2e%2e",
        "/docs/..%2f..",
        "/students/s_1/../..",
        "/health/..",
        "/mastery/%2e.",
    ):
        yield f"{way}{path}"
        yield f"/api/v1{way}{path}"
    yield f"/api/v1{path}"
    yield f"/api/v1/%{ord(first):02x}{rest}"
    yield f"/api/v1/../..{path}"
    yield f"/mastery/..%5c..{path}"


def views(path: str) -> set[str]:
    """What a proxy may make of an address before it looks at it, or before it sends it on."""
    bare = path.partition("?")[0]
    decoded = unquote(bare)
    twice = unquote(decoded)
    return {
        path,
        bare,
        decoded,
        twice,
        posixpath.normpath(bare),
        posixpath.normpath(decoded),
        posixpath.normpath(twice),
    }


async def asked(api: Api, path: str, *headers: str) -> tuple[int, str]:
    """The status and the whole answer to a request line that no client has tidied."""
    reader, writer = await asyncio.open_connection(api.client.base_url.host, api.client.base_url.port)
    lines = [f"GET {path} HTTP/1.1", "Host: mastery.example.org", "Connection: close", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    answer = (await asyncio.wait_for(reader.read(), 30)).decode()
    writer.close()
    return int(answer.split()[1]), answer


def test_every_call_of_users_is_published_and_no_other() -> None:
    assert set(ROUTES) > INTERNAL
    for path in ROUTES:
        both = [path] if path == "/" or path.startswith(("/dashboard", "/lti/")) else [path, f"/api/v1{path}"]
        for each in both:
            if path not in INTERNAL and path != "/health":
                assert is_published(each), f"{each} needs a rule in {INGRESS.name}, or a place in INTERNAL here"
            elif path in INTERNAL:
                assert not is_published(each), each
    assert is_published("/health")


def test_the_ingress_lets_bodies_through_that_the_service_takes_and_large_ones_at_those_addresses_alone() -> None:
    for part in PARTS_OF_IT:
        most = int(part["metadata"]["annotations"][BODY_SIZE].removesuffix("m")) * 1024 * 1024
        for rule in part["spec"]["rules"][0]["http"]["paths"]:
            bare = elements(rule["path"].removeprefix("/api/v1"))
            depth = None if rule["pathType"] == "Exact" else len(bare)
            below = [re.sub("{.*?}", "x", route) for route in ROUTES if elements(route)[:depth] == bare]
            taken = [largest_body(method, route) for route in below for method in ("PUT", "POST")]
            assert most == max(MAX_BODY, *taken), rule["path"]


@pytest.mark.parametrize("path", sorted(INTERNAL))
def test_no_spelling_of_an_internal_address_has_a_rule_of_its_own(path: str) -> None:
    """By the address as it came or decoded, whichever a controller looks at; what climbs out of a rule comes below."""
    plain = [spelling for spelling in spellings(path) if ".." not in unquote(spelling)]
    assert len(plain) > 10
    assert not [view for spelling in plain for view in views(spelling) if is_published(view)]


async def test_what_slips_past_the_rules_is_refused_by_the_service(tmp_path: Path) -> None:
    """A controller may look at one form of an address and send on another."""
    async with listening(tmp_path) as api:
        slipped = {
            sent
            for path in INTERNAL - {"/ready"}
            for spelling in spellings(path)
            if any(is_published(view) for view in views(spelling))
            for sent in views(spelling)
            if sent.isascii() and " " not in sent and "\\" not in sent
        }
        assert "/metrics" in slipped
        for sent in sorted(slipped):
            status, answer = await asked(api, sent, "X-Forwarded-For: 203.0.113.7")
            assert status in (401, 403, 404, 405), sent
            assert "mastery_worker_up" not in answer, sent


@pytest.mark.parametrize("path", ["/metrics", "/%6detrics", "/api/v1/metrics"])
async def test_metrics_are_for_who_asks_the_process_itself(tmp_path: Path, path: str) -> None:
    async with listening(tmp_path) as api:
        status, answer = await asked(api, path)
        assert (status, "mastery_worker_up" in answer) == (200, True)
        for name in [*FORWARDING, "x-forwarded-for", "X-FORWARDED-PREFIX"]:
            status, answer = await asked(api, path, f"{name}: 10.0.0.1")
            assert (status, "mastery_" in answer) == (404, False), name
