"""Calls through proxies: whose word about the caller's address is believed, and what a caller gains by lying."""

import logging
from pathlib import Path

import httpx
import pytest

from mastery_engine.auth.limits import BAD_TOKENS
from mastery_engine.domain.moments import MINUTE
from mastery_engine.errors import StartRefused
from mastery_engine.http.proxies import Proxies, parsed
from mastery_engine.settings import settings_from, warnings_for
from tests.support.calls import STUDENT, Api, event, serving, with_state
from tests.support.live import Live, bearer, make_token

PROXIES = "10.0.0.0/8, 2001:db8:1::/48,192.0.2.7"


def proxies(allowed: str) -> Proxies:
    return Proxies(settings_from({"FORWARDED_ALLOW_IPS": allowed}).forwarded_allow_ips)


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("2001:db8:1::9", "203.0.113.5", "203.0.113.5"),
        ("::ffff:10.0.0.1", "203.0.113.5", "203.0.113.5"),  # a socket of both stacks
        ("10.0.0.1", "203.0.113.5:4711", "203.0.113.5"),
        ("10.0.0.1", "[2001:db8:2::5]:4711", "2001:db8:2::5"),
        ("10.0.0.1", "2001:DB8:2:0::5", "2001:db8:2::5"),
        ("10.0.0.1", "::ffff:203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5, 10.0.0.2,192.0.2.7", "203.0.113.5"),  # a chain of proxies
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),  # the caller is in the proxies' network
        # What the caller itself sent stands at the left.
        ("10.0.0.1", "1.1.1.1, 203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "10.9.9.9, 203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "junk, 10.0.0.2", "10.0.0.2"),
        # What is no address is none.
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", ",", "10.0.0.1"),
        ("10.0.0.1", "[", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5:4711:1", "10.0.0.1"),
        ("10.0.0.1", "1" * 20_000, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5\x00", "10.0.0.1"),
        ("10.0.0.1", "<script>", "10.0.0.1"),
        ("10.0.0.1", "fe80::1%" + "x" * 99, "fe80::1"),  # a zone may be any text
        # Nobody else is believed.
        ("203.0.113.9", "1.1.1.1", "203.0.113.9"),
        ("127.0.0.1", "1.1.1.1", "127.0.0.1"),
        ("a-socket", "1.1.1.1", "a-socket"),
    ],
)
def test_the_caller_is_the_last_address_that_is_no_proxys(peer: str, forwarded: str, caller: str) -> None:
    assert proxies(PROXIES).caller_of(peer, forwarded) == caller


@pytest.mark.parametrize(
    ("allowed", "peer", "is_proxy"),
    [
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("::ffff:10.0.0.0/104", "10.9.9.9", True),
        ("::ffff:10.0.0.0/104", "::ffff:10.9.9.9", True),
        ("::ffff:10.0.0.0/104", "11.0.0.1", False),
        ("::ffff:0:0/96", "203.0.113.9", True),
        ("::ffff:10.0.0.7/120", "10.0.0.200", True),
    ],
)
def test_ipv4_inside_ipv6_is_ipv4(allowed: str, peer: str, is_proxy: bool) -> None:
    assert (peer in proxies(allowed)) is is_proxy


def test_where_everybody_is_a_proxy_the_last_address_counts() -> None:
    """Everything before it comes from the caller, who could otherwise take any address."""
    for everybody in ("*", "0.0.0.0/0, ::/0"):
        assert proxies(everybody).caller_of("203.0.113.9", "1.1.1.1, 203.0.113.5") == "203.0.113.5"
        assert proxies(everybody).caller_of("2001:db8::9", "2001:db8::5") == "2001:db8::5"
        settings = settings_from({"FORWARDED_ALLOW_IPS": everybody})
        assert any("FORWARDED_ALLOW_IPS names every address" in words for words in warnings_for({}, settings))
    assert not warnings_for({}, settings_from({"FORWARDED_ALLOW_IPS": PROXIES}))


def test_a_long_list_takes_no_time() -> None:
    chain = ",".join(["10.0.0.2"] * 3_000)
    assert proxies(PROXIES).caller_of("10.0.0.1", chain) == "10.0.0.2"


@pytest.mark.parametrize("allowed", ["proxy.example", "10.0.0.1:80", "10.0.0.0/33", "10.0.0.*", "[::1]", "*, 10.0.0.1"])
def test_what_names_no_proxy_is_refused(allowed: str) -> None:
    with pytest.raises(StartRefused, match="FORWARDED_ALLOW_IPS must be addresses of proxies"):
        settings_from({"FORWARDED_ALLOW_IPS": allowed})


def test_an_address_has_one_form() -> None:
    assert str(parsed("2001:0DB8::0001")) == "2001:db8::1"
    assert str(parsed("::ffff:192.0.2.1")) == "192.0.2.1"
    assert str(parsed("fe80::1%eth0")) == "fe80::1"
    assert parsed("testclient") is parsed("") is None


async def address_on_record(api: Api, peer: str, **headers: str) -> str:
    """The address that the audit trail has for a call from ``peer`` with these headers."""
    transport = httpx.ASGITransport(with_state(api.app, api.state), client=(peer, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=bearer(make_token())) as client:
        answer = await client.post("/mastery/query", json={"student_id": STUDENT}, headers=headers)
        assert answer.status_code == 200, answer.text
    return (await api.audited())[-1].address


async def test_the_audit_trail_has_the_callers_address(tmp_path: Path) -> None:
    networks = settings_from({"FORWARDED_ALLOW_IPS": PROXIES}).forwarded_allow_ips
    async with serving(tmp_path, forwarded_allow_ips=networks) as api:
        await api.learn(event())
        through = {"X-Forwarded-For": "6.6.6.6, 203.0.113.5"}
        assert await address_on_record(api, "10.0.0.1", **through) == "203.0.113.5"
        assert await address_on_record(api, "10.0.0.1") == "10.0.0.1"
        assert await address_on_record(api, "203.0.113.9", **through) == "203.0.113.9"
        assert await address_on_record(api, "::ffff:203.0.113.9", **through) == "203.0.113.9"


async def test_a_proxy_that_is_not_named_is_logged_once_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    networks = settings_from({"FORWARDED_ALLOW_IPS": PROXIES}).forwarded_allow_ips
    for named in ((), networks):
        async with serving(tmp_path, forwarded_allow_ips=named) as api:
            logging.getLogger().addHandler(caplog.handler)
            caplog.clear()
            await api.learn(event())
            await address_on_record(api, "203.0.113.9")
            if named:
                await address_on_record(api, "10.0.0.1", **{"X-Forwarded-For": "203.0.113.5"})
            assert not unnamed(caplog)
            for _ in range(3):
                await address_on_record(api, "203.0.113.9", **{"X-Forwarded-For": "6.6.6.6"})
            (line,) = unnamed(caplog)
            assert line.startswith("203.0.113.9 sends X-Forwarded-For, but FORWARDED_ALLOW_IPS does not name it")
            api.clock.ahead += MINUTE
            await address_on_record(api, "203.0.113.10", **{"X-Forwarded-For": "6.6.6.6"})
            assert len(unnamed(caplog)) == 2


def unnamed(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings about proxies that nobody named."""
    return [record.getMessage() for record in caplog.records if "FORWARDED_ALLOW_IPS" in record.getMessage()]


def test_a_caller_on_this_machine_cannot_take_other_addresses(tmp_path: Path) -> None:
    """The server believed loopback by itself: each guess at a token could come from another address."""
    with Live(tmp_path / "data", home=tmp_path) as live, live.client("a.b.c") as client:
        codes = [
            client.post(
                "/mastery/query", json={"student_id": STUDENT}, headers={"X-Forwarded-For": f"203.0.113.{n}"}
            ).status_code
            for n in range(BAD_TOKENS + 1)
        ]
        assert codes == [401] * BAD_TOKENS + [429]
