"""Calls to addresses that others named: where they do not go, and what a server cannot do to us."""

import asyncio
import random
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from mastery_engine.errors import InvalidInput, Unavailable
from mastery_engine.outbound import checked_network
from mastery_engine.outbound.addresses import may_be_called
from mastery_engine.outbound.name_lookup import MOST_AT_ONCE
from mastery_engine.outbound.public_http import HttpAnswer, PublicHttp
from tests.support.receivers import OK, certified, endless, listening, saying

PUBLIC = "93.184.215.14"
NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.8.9.1",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:93.184.215.14",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%lo",
    "2a00:1450::1%lo",
    "fec0::1",
    "ff02::1",
    "no address",
]
IS_PUBLIC = [PUBLIC, "8.8.8.8", "172.32.0.1", "100.128.0.1", "2a00:1450:4001:80b::200e", "2606:4700::1111"]


class Names:
    """What names lead to; ``asked`` are those that were looked up."""

    def __init__(self, *answers: Sequence[str]) -> None:
        """The first lookup gets the first answer, and so on; the last one stays."""
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise OSError("no such name")
        return answer


def strict(names: Names | None = None) -> PublicHttp:
    chosen = {} if names is None else {"lookup": names}
    return PublicHttp(allow_private=False, setting="WEBHOOK_ALLOW_PRIVATE", **chosen)


def lenient(names: Names | None = None) -> PublicHttp:
    chosen = {} if names is None else {"lookup": names}
    return PublicHttp(allow_private=True, setting="WEBHOOK_ALLOW_PRIVATE", **chosen)


async def get(http: PublicHttp, url: str, *, timeout_s: float = 5.0, cuts_off: bool = False) -> HttpAnswer:
    try:
        return await http.request("GET", url, most_bytes=1_000, timeout_s=timeout_s, cuts_off=cuts_off)
    finally:
        await http.close()


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses to which connections are tried; none is made."""
    tried: list[str] = []

    async def connect_tcp(_self: object, host: str, *_arguments: object, **_named: object) -> None:
        tried.append(host)
        raise checked_network.httpcore.ConnectError

    monkeypatch.setattr(checked_network.httpcore.AnyIOBackend, "connect_tcp", connect_tcp)
    return tried


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_not_called(address: str) -> None:
    assert not may_be_called(address, allow_private=False)


@pytest.mark.parametrize("address", IS_PUBLIC)
def test_a_public_address_is_called(address: str) -> None:
    assert may_be_called(address, allow_private=False)


def test_a_cloud_s_credentials_are_out_of_reach_also_where_private_addresses_are_allowed() -> None:
    allowed = {address for address in NOT_PUBLIC if may_be_called(address, allow_private=True)}
    assert {"127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "100.64.0.1", "::1", "fc00::1"} <= allowed
    assert not allowed & {"169.254.169.254", "168.63.129.16", "fd00:ec2::254", "192.0.0.192", "fe80::1", "0.0.0.0"}
    assert not allowed & {"::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "224.0.0.1"}


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.1/",
        "https://0/",
        "https://0.0.0.0/",
        "https://127.0.0.1./",
        "https://１２７.0.0.1/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fe80::1%25lo]/",
        "https://localhost/",
        "https://LOCALHOST./",
    ],
)
async def test_no_way_of_writing_an_inner_address_gets_through(url: str, dialled: list[str]) -> None:
    """By the system's own resolver, whichever forms of an address it takes."""
    http = strict()
    with pytest.raises((InvalidInput, Unavailable)):
        await get(http, url)
    assert dialled == []


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "https://2130706433/"]
)
async def test_a_check_before_the_first_message_refuses_it_too(url: str) -> None:
    with pytest.raises(InvalidInput, match="WEBHOOK_ALLOW_PRIVATE"):
        await strict().check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/",
        "ftp://hooks.example.org/",
        "file:///etc/passwd",
        "gopher://hooks.example.org/",
        "//hooks.example.org/",
        "hooks.example.org",
        "https://",
        "https:///path",
        "https://user@hooks.example.org/",
        "https://user:secret@hooks.example.org/",
        "https://hooks.example.org@127.0.0.1/",
        "https://hooks.example.org:0/",
        "https://hooks.example.org:22/",
        "https://hooks.example.org:25/",
        "https://hooks.example.org:65536/",
        "https://hooks.example.org:-1/",
        "https://hooks.example.org:port/",
        "https://hooks.example.org/\r\nHost: other",
        "https://hooks.example.org/\x00",
        "https://[::1/",
        "https://" + "a" * 3_000,
        "",
    ],
)
async def test_what_is_no_plain_address_of_the_web_is_refused(url: str, dialled: list[str]) -> None:
    names = Names([PUBLIC])
    http = strict(names)
    with pytest.raises(InvalidInput):
        await http.check(url)
    with pytest.raises(InvalidInput):
        await get(http, url)
    assert (names.asked, dialled) == ([], [])


async def test_whatever_a_url_holds_is_refused_or_passes(dialled: list[str]) -> None:
    """Random pieces of URLs, among them names in Punycode that is none: the library decodes them when it is asked."""
    chance = random.Random(1)
    http = strict(Names([PUBLIC]))
    pieces = [
        *"[]@:#?/\\.%;<> \t\x00\ud800ßé。１😀\u202e",
        "xn--",
        "xn--a",
        "a.example",
        "::1",
        "443",
        "99999",
        "%00",
        "a" * 64,
    ]
    for _ in range(2_000):
        url = "https://" + "".join(chance.choice(pieces) for _ in range(chance.randint(1, 6)))
        with suppress(InvalidInput):
            await http.check(url)
    await http.check("https://xn--a.example/")
    assert dialled == []


@pytest.mark.parametrize("inner", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::a00:1"])
async def test_a_name_that_leads_inside_is_refused_also_if_it_leads_outside_too(inner: str, dialled: list[str]) -> None:
    for answer in ([inner], [PUBLIC, inner], [inner, PUBLIC]):
        http = strict(Names(answer))
        with pytest.raises(InvalidInput, match="not a public one"):
            await http.check("https://hooks.example.org/")
        with pytest.raises(InvalidInput, match="not a public one"):
            await get(http, "https://hooks.example.org/")
    assert dialled == []


async def test_a_name_is_looked_up_once_and_what_was_checked_is_called(dialled: list[str]) -> None:
    """Else a name could lead outside when it is checked, and inside when it is called."""
    names = Names([PUBLIC], ["127.0.0.1"])
    with pytest.raises(Unavailable, match="does not answer"):
        await get(strict(names), "https://hooks.example.org/")
    assert (names.asked, dialled) == (["hooks.example.org"], [PUBLIC])


async def test_each_new_connection_is_checked_by_itself(dialled: list[str]) -> None:
    http = strict(Names([PUBLIC], ["127.0.0.1"]))
    with pytest.raises(Unavailable):
        await get(http, "https://hooks.example.org/")
    with pytest.raises(InvalidInput):
        await get(http, "https://hooks.example.org/")
    assert dialled == [PUBLIC]


async def test_the_next_address_of_a_name_is_tried_if_one_does_not_answer() -> None:
    async with listening(saying(OK)) as port:
        answer = await get(lenient(Names(["127.0.0.2", "127.0.0.1"])), f"http://hooks.example.org:{port}/")
    assert answer.status == 200


async def test_a_name_that_is_not_known_may_become_known() -> None:
    http = strict(Names([]))
    await http.check("https://hooks.example.org/")
    with pytest.raises(Unavailable, match="name of the server is not known"):
        await get(http, "https://hooks.example.org/")


async def test_a_redirect_inside_is_not_followed() -> None:
    inner: list[bytes] = []
    async with listening(saying(OK, heads=inner)) as port:
        moved = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:{port}/\r\nContent-Length: 0\r\n\r\n"
        async with listening(saying(moved.encode())) as first:
            answer = await get(lenient(), f"http://127.0.0.1:{first}/")
    assert (answer.status, inner) == (307, [])


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    proxied: list[bytes] = []
    async with listening(saying(OK, heads=proxied)) as proxy, listening(saying(OK)) as port:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        assert (await get(lenient(), f"http://127.0.0.1:{port}/")).body == b"ok"
    assert proxied == []


async def test_the_server_sees_the_name_and_what_was_sent(tmp_path: Path) -> None:
    shown, trust = certified("hooks.example.org", tmp_path)
    heads: list[bytes] = []
    named: list[str | None] = []
    shown.sni_callback = lambda _tls, name, _context: named.append(name)
    async with listening(saying(OK, heads=heads), shown) as port:
        http = PublicHttp(allow_private=True, setting="WEBHOOK_ALLOW_PRIVATE", trust=trust, lookup=Names(["127.0.0.1"]))
        answer = await http.request(
            "POST",
            f"https://hooks.example.org:{port}/in?a=1#part",
            headers={"content-type": "application/json"},
            content=b"{}",
            most_bytes=10,
            timeout_s=5,
        )
        await http.close()
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "2", b"ok")
    assert named == ["hooks.example.org"]
    assert heads[0].startswith(b"POST /in?a=1 HTTP/1.1\r\n")
    assert f"host: hooks.example.org:{port}\r\n".encode() in heads[0].lower()
    assert b"content-length: 2\r\n" in heads[0].lower()


async def test_a_certificate_for_another_name_or_of_nobody_is_refused(tmp_path: Path) -> None:
    shown, trust = certified("hooks.example.org", tmp_path)
    heads: list[bytes] = []
    async with listening(saying(OK, heads=heads), shown) as port:
        for name, trusted in (("other.example.org", trust), ("hooks.example.org", None)):
            http = PublicHttp(
                allow_private=True, setting="WEBHOOK_ALLOW_PRIVATE", trust=trusted, lookup=Names(["127.0.0.1"])
            )
            with pytest.raises(Unavailable, match="certificate is not trusted"):
                await get(http, f"https://{name}:{port}/")
    assert heads == []


async def test_a_server_without_tls_is_said_to_have_none() -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)

    async with listening(talk) as port:
        with pytest.raises(Unavailable, match="does not speak TLS"):
            await get(lenient(), f"https://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "talk",
    [
        endless(b"a", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", every_s=0.02),
        endless(b"X", b"HTTP/1.1 200 OK\r\nX-", every_s=0.02),
        endless(b"HTTP/1.1 100 Continue\r\n\r\n", every_s=0.02),
        saying(b"", every_s=3.0),
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", b"", every_s=3.0),
    ],
    ids=["body", "head", "heads", "silent", "broken off"],
)
async def test_a_server_that_drips_or_is_silent_has_its_time_and_no_more(talk: object) -> None:
    async with listening(talk) as port:  # type: ignore[arg-type]
        with pytest.raises(Unavailable, match=r"within 0\.3 s"):
            await asyncio.wait_for(get(lenient(), f"http://127.0.0.1:{port}/", timeout_s=0.3), 20)


async def test_an_endless_answer_is_left_at_its_largest_size() -> None:
    part = b"1000\r\n" + b"a" * 0x1000 + b"\r\n"
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with listening(endless(part, start)) as port:
        with pytest.raises(Unavailable, match="more than 1000 bytes"):
            await get(lenient(), f"http://127.0.0.1:{port}/")
        cut = await get(lenient(), f"http://127.0.0.1:{port}/", cuts_off=True)
    assert (cut.status, cut.body) == (200, b"a" * 1_000)
    async with listening(endless(b"X-More: " + b"a" * 1_000 + b"\r\n", b"HTTP/1.1 200 OK\r\n")) as port:
        with pytest.raises(Unavailable):
            await get(lenient(), f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "said", [b"", b"220 smtp.example.org ESMTP\r\n", b"HTTP/1.1 twohundred OK\r\n\r\n", b"\x00" * 64]
)
async def test_what_is_no_http_is_said_to_be_none(said: bytes) -> None:
    async with listening(saying(said)) as port:
        with pytest.raises(Unavailable, match="broke off or is no HTTP"):
            await get(lenient(), f"http://127.0.0.1:{port}/")


async def test_a_silent_server_of_names_holds_up_nobody_else() -> None:
    released = threading.Event()

    def lookup(name: str) -> Sequence[str]:
        if name.startswith("silent"):
            released.wait(10)
        return ["127.0.0.1"]

    http = PublicHttp(allow_private=True, setting="WEBHOOK_ALLOW_PRIVATE", lookup=lookup)
    async with listening(saying(OK)) as port:
        silent = [
            asyncio.create_task(get(http, f"http://silent-{number}.example.org:{port}/", timeout_s=1.0))
            for number in range(MOST_AT_ONCE - 1)
            for _ in range(3)  # who asks for the same name shares its thread
        ]
        await asyncio.sleep(0.05)
        assert (await get(http, f"http://hooks.example.org:{port}/")).status == 200
        outcomes = await asyncio.gather(*silent, return_exceptions=True)
        released.set()
    assert {str(outcome) for outcome in outcomes} == {"the server has not answered within 1 s"}


async def test_too_many_names_at_once_are_a_reason_to_try_again() -> None:
    released = threading.Event()

    def lookup(_: str) -> Sequence[str]:
        released.wait(10)
        return [PUBLIC]

    http = PublicHttp(allow_private=False, setting="WEBHOOK_ALLOW_PRIVATE", lookup=lookup)
    silent = [
        asyncio.create_task(get(http, f"https://silent-{number}.example.org/", timeout_s=0.5))
        for number in range(MOST_AT_ONCE)
    ]
    await asyncio.sleep(0.05)
    with pytest.raises(Unavailable, match="too many names"):
        await get(http, "https://hooks.example.org/")
    await asyncio.gather(*silent, return_exceptions=True)
    released.set()


async def test_connections_are_used_again_for_a_moment() -> None:
    met: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(1)
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)

    async with listening(talk) as port:
        http = lenient()
        for _ in range(3):
            await http.request("GET", f"http://127.0.0.1:{port}/", most_bytes=10, timeout_s=5)
        await http.close()
    assert len(met) == 1
