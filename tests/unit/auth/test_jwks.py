"""Tokens of an identity provider: its keys by URL, their rotation, and what does not pass for one of them."""

import asyncio
import gzip
import json
import logging
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mastery_engine.auth import jwks
from mastery_engine.auth.jwks import AGAIN, FRESH, LONGEST, MOST_WAITING, PATIENCE_S, KeySet
from mastery_engine.auth.tokens import Tokens
from mastery_engine.errors import InvalidInput, Unauthenticated, Unavailable
from mastery_engine.settings import Settings
from mastery_engine.wiring_tokens import tokens as wired_tokens
from tests.support.live import SECRET
from tests.support.samples import Clock

NOW = int(datetime.now(UTC).timestamp())
GOOD: dict[str, Any] = {"sub": "ada", "role": "teacher", "exp": NOW + 600, "cohorts": ["py-101"]}
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
KEYS: dict[str, Any] = {
    "RS256": RSA_KEY,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def jwk(algorithm: str, key: Any, key_id: str | None = None, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key()))
    return {**found, **({"kid": key_id} if key_id else {}), **more}


ALL = [jwk(name, key, f"key-{name}", use="sig", alg=name) for name, key in KEYS.items()]


def signed(algorithm: str, key_id: str | None = "", claims: dict[str, Any] = GOOD, key: Any = None) -> str:
    headers = {"kid": f"key-{algorithm}" if key_id == "" else key_id} if key_id is not None else {}
    return jwt.encode(claims, key or KEYS[algorithm], algorithm=algorithm, headers=headers)


class Provider:
    """A web server with a key set."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 200, b"", 0
        self.location = ""
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                self.send_response(provider.status)
                if provider.location and self.path == "/keys":
                    self.send_header("Location", provider.location)
                self.end_headers()
                self.wfile.write(provider.body)

            def log_message(self, *_: Any) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        self.publish(ALL)

    def publish(self, keys: Any) -> None:
        self.body = json.dumps({"keys": keys}).encode()


@pytest.fixture
def provider() -> Iterator[Provider]:
    found = Provider()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW * 1_000_000)


def tokens(provider: Provider, clock: Clock, secret: str | None = None) -> Tokens:
    return Tokens(secret, clock, keys=KeySet(provider.url, clock))


async def refused(checker: Tokens, token: str) -> bool:
    with pytest.raises(Unauthenticated):
        await checker.authenticate(token)
    return True


@pytest.mark.parametrize("algorithm", KEYS)
async def test_each_kind_of_key_opens_the_door(provider: Provider, clock: Clock, algorithm: str) -> None:
    checker = tokens(provider, clock)
    caller = await checker.authenticate(signed(algorithm))
    assert (caller.subject, caller.role, caller.cohorts) == ("ada", "teacher", {"py-101"})
    assert await checker.authenticate(signed(algorithm, None)) == caller  # one key of its kind needs no name
    assert provider.asked == 1


async def test_what_is_signed_otherwise_does_not(provider: Provider, clock: Clock) -> None:
    checker = tokens(provider, clock)
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    head, body, _ = signed("RS256").split(".")
    confused = jwt.utils.base64url_encode(b'{"alg":"HS256","kid":"key-RS256"}').decode() + f".{body}"
    signature = jwt.utils.base64url_encode(hmac.sign(confused.encode(), pem)).decode()
    for bad in [
        f"{confused}.{signature}",
        f"{head}.{body}.",
        jwt.encode(GOOD, "", algorithm="none", headers={"kid": "key-RS256"}),
        signed("RS256", key=other),
        signed("RS256", "key-ES256"),
        signed("ES256", "key-EdDSA"),
        signed("RS256", "unknown"),
        jwt.encode(GOOD, RSA_KEY, algorithm="RS512", headers={"kid": "key-RS256"}),
        jwt.encode(GOOD, RSA_KEY, algorithm="PS256", headers={"kid": "key-RS256"}),
        jwt.encode(GOOD, SECRET, algorithm="HS256"),
        signed("RS256", claims={**GOOD, "exp": NOW - 61}),
        jwt.utils.base64url_encode(b'{"alg":["RS256"],"typ":"JWT"}').decode() + f".{body}.x",
        "junk",
    ]:
        assert await refused(checker, bad), bad


async def test_own_and_others_tokens_live_beside_each_other(provider: Provider, clock: Clock) -> None:
    both = tokens(provider, clock, SECRET)
    assert (await both.authenticate(both.make(subject="op", role="admin"))).role == "admin"
    assert (await both.authenticate(signed("ES256"))).role == "teacher"
    with pytest.raises(InvalidInput, match="identity provider"):
        tokens(provider, clock).make(subject="op", role="admin")


async def test_keys_that_change_are_found_and_old_ones_end(provider: Provider, clock: Clock) -> None:
    checker = tokens(provider, clock)
    old = signed("RS256")
    await checker.authenticate(old)
    new_key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    provider.publish([jwk("RS256", new_key, "new")])
    fresh = signed("RS256", "new", key=new_key)
    assert await refused(checker, fresh)  # the set was read a moment ago
    clock.tick(AGAIN)
    assert (await checker.authenticate(fresh)).subject == "ada"
    assert await refused(checker, old)
    provider.publish(ALL)
    clock.tick(FRESH)
    assert (await checker.authenticate(old)).subject == "ada"


async def test_unknown_keys_do_not_hammer_the_provider(provider: Provider, clock: Clock) -> None:
    checker = tokens(provider, clock)
    for number in range(20):
        assert await refused(checker, signed("RS256", f"guess-{number}"))
    assert provider.asked == 1


async def test_a_provider_that_is_away_stops_nobody_it_has_vouched_for(provider: Provider, clock: Clock) -> None:
    checker = tokens(provider, clock)
    await checker.authenticate(signed("RS256"))
    provider.status = 500
    clock.tick(FRESH)
    assert (await checker.authenticate(signed("ES256"))).subject == "ada"
    with pytest.raises(Unavailable):
        await tokens(provider, clock).authenticate(signed("RS256"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"junk",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        json.dumps({"keys": [{}] * 101}).encode(),
        b" " * (LONGEST + 1),
        b"[" * 10_000,
        b'{"keys":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"keys": [' + b"9" * 5_000 + b"]}",
        b"\xff\xfe\x00",
        gzip.compress(json.dumps({"keys": ALL}).encode(), mtime=0),
    ],
)
async def test_what_is_no_key_set_is_none(provider: Provider, clock: Clock, body: bytes) -> None:
    provider.body = body
    with pytest.raises(Unavailable):
        await tokens(provider, clock).authenticate(signed("RS256"))


async def test_keys_come_from_that_url_alone(provider: Provider, clock: Clock) -> None:
    provider.status, provider.location = 302, f"http://127.0.0.1:{provider.server.server_port}/elsewhere"
    with pytest.raises(Unavailable):
        await tokens(provider, clock).authenticate(signed("RS256"))
    assert provider.asked == 1


async def test_keys_that_are_unfit_are_left_out(provider: Provider, clock: Clock) -> None:
    weak = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "oct", "alg": "HS256"}
    provider.publish(
        [
            secret,
            "junk",
            jwk("RS256", weak, "weak"),
            jwk("RS256", RSA_KEY, "encrypts", use="enc"),
            jwk("RS256", RSA_KEY, "other", alg="RS512"),
            jwk("ES256", KEYS["ES256"], "broken") | {"x": "AA"},
            jwk("EdDSA", KEYS["EdDSA"]),
        ]
    )
    checker = tokens(provider, clock)
    assert (await checker.authenticate(signed("EdDSA", None))).subject == "ada"
    for key_id in ("encrypts", "other", "oct"):
        assert await refused(checker, signed("RS256", key_id))
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = signed("RS256", "weak", key=weak)
    assert await refused(checker, token)
    assert await refused(checker, signed("ES256", "broken"))
    assert await refused(checker, jwt.encode(GOOD, "secret" * 8, algorithm="HS256", headers={"kid": "oct"}))


def test_any_row_of_a_set_is_a_key_or_is_left_out() -> None:
    """Whatever stands in a set, each of 3,000 rows."""
    chance = random.Random(7)
    odd: list[Any] = [None, True, 0, -1, 1e308, "", "AA", "AQAB", "é", "\ud800", "=" * 9, [], ["sig"], {}, {"a": []}]
    odd += ["_" * 20_000, list(range(50)), "RSA", "EC", "OKP", "P-256", "Ed25519", "RS256", "ES256"]
    names = ["kty", "crv", "n", "e", "x", "y", "use", "alg", "kid", "key_ops", "x5c", "oth", "p"]
    for _ in range(3_000):
        row = dict(chance.choice(ALL))
        for name in chance.sample(names, chance.randint(1, 4)):
            if chance.random() < 0.2:
                row.pop(name, None)
            else:
                row[name] = chance.choice(odd)
        usable = jwks._usable(3, row)
        assert isinstance(usable, str) or isinstance(usable[0][0], str)


async def test_keys_that_take_long_to_check_are_left_out(provider: Provider, clock: Clock) -> None:
    def numbers(bits: int, exponent: int) -> dict[str, Any]:
        modulus = jwt.utils.to_base64url_uint((1 << (bits - 1)) + 1).decode()
        return {"kty": "RSA", "n": modulus, "e": jwt.utils.to_base64url_uint(exponent).decode(), "kid": f"{bits}"}

    assert not isinstance(jwks._usable(0, numbers(8_192, 65_537)), str)
    for bits, exponent in ((16_384, 65_537), (2_048, 2**2_000 + 1), (2_048, 1), (2_048, 2), (2_047, 65_537)):
        assert isinstance(jwks._usable(0, numbers(bits, exponent)), str), (bits, exponent)
    provider.publish([numbers(16_384, 65_537), ALL[0]])
    checker = tokens(provider, clock)
    assert await refused(checker, signed("RS256", "16384"))
    assert (await checker.authenticate(signed("RS256"))).subject == "ada"


async def test_keys_need_names_of_their_own(provider: Provider, clock: Clock) -> None:
    """A name that is no text is none, and two kinds of keys may have the same."""
    provider.publish(
        [
            jwk("RS256", RSA_KEY, kid=None),
            jwk("ES256", KEYS["ES256"], "same"),
            jwk("EdDSA", KEYS["EdDSA"], "same"),
            jwk("EdDSA", ed25519.Ed25519PrivateKey.generate(), kid={"a": [1]}),
            jwk("EdDSA", ed25519.Ed25519PrivateKey.generate(), "encrypts", key_ops=["encrypt"]),
        ]
    )
    checker = tokens(provider, clock)
    assert await refused(checker, signed("RS256", "None"))
    assert (await checker.authenticate(signed("RS256", None))).subject == "ada"
    for algorithm in ("ES256", "EdDSA"):
        assert (await checker.authenticate(signed(algorithm, "same"))).subject == "ada"
    assert await refused(checker, signed("EdDSA", "encrypts"))


async def read_again(checker: Tokens, clock: Clock) -> None:
    """Have the keys read again, and wait for it."""
    assert checker._keys is not None
    clock.tick(FRESH)
    checker._keys.keep_fresh(clock())
    assert checker._keys._reading is not None
    await checker._keys._reading


P_384 = {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "p"}


@pytest.mark.parametrize("rows", [[P_384], [{}] * 3, ["junk"], [ALL[0] | {"use": "enc"}], [ALL[0] | {"d": "AA"}]])
async def test_keys_stay_where_a_new_set_has_none_that_can_be_used(
    provider: Provider, clock: Clock, rows: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    checker = tokens(provider, clock)
    await checker.authenticate(signed("RS256"))
    provider.publish(rows)
    await read_again(checker, clock)
    (said,) = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert "those known before stay" in said
    assert f"{len(rows)} {'is' if len(rows) == 1 else 'are'} " in said
    assert (await checker.authenticate(signed("ES256"))).subject == "ada"
    with pytest.raises(Unavailable):  # the key may be one that the provider meant to publish
        await checker.authenticate(signed("RS256", "new"))


async def test_a_set_without_a_row_takes_all_keys_back(
    provider: Provider, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    checker = tokens(provider, clock)
    await checker.authenticate(signed("RS256"))
    provider.publish([])
    await read_again(checker, clock)
    assert await refused(checker, signed("RS256"))
    assert "there are no keys at JWT_JWKS_URL" in caplog.text


async def test_what_is_left_out_of_a_set_is_said_when_it_changes(
    provider: Provider, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    checker = tokens(provider, clock)
    provider.publish([*ALL, P_384, P_384, ALL[0]])
    for _ in range(2):
        await read_again(checker, clock) if caplog.records else await checker.authenticate(signed("RS256"))
    (said,) = [record.message for record in caplog.records if record.name == jwks.__name__]
    assert said == (
        "keys at JWT_JWKS_URL: 3 in use, 3 left out: 2 are for another algorithm than RS256, ES256, EdDSA, "
        "1 is named as a later one"
    )
    caplog.clear()
    provider.publish([*ALL, ALL[0] | {"use": "enc", "kid": "e"}])  # as many providers do
    with caplog.at_level(logging.INFO):
        await read_again(checker, clock)
    (record,) = [record for record in caplog.records if record.name == jwks.__name__]
    assert record.levelno == logging.INFO
    assert "1 is not for signatures" in record.message


@pytest.mark.parametrize("body", [b'{"keys": [' + b"9" * 6_000 + b"]}", b"\xff\xfe\x00", b"[" * 10_000, b"<html>"])
async def test_the_log_says_what_is_wrong_without_a_librarys_words(
    provider: Provider, clock: Clock, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    provider.body = body
    with pytest.raises(Unavailable):
        await tokens(provider, clock).authenticate(signed("RS256"))
    (said,) = [record.message for record in caplog.records if record.name == jwks.__name__]
    assert said.endswith(": it is not JSON that can be read")


# ---- a provider that is slow


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


async def all_keys(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + json.dumps({"keys": ALL}).encode())
    await writer.drain()


async def nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def dripping_head(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    await drip(writer)


async def dripping_body(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    await drip(writer)


async def drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def without_end(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while True:
        writer.write(b" " * 65_536)
        await writer.drain()


class SlowProvider:
    """A server that answers as it is told, and counts how often it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = all_keys
        self.asked = 0
        self.under_way = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        self.under_way += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            gone = asyncio.create_task(reader.read())
            answered = asyncio.ensure_future(self.answer(writer))
            await asyncio.wait([gone, answered], return_when=asyncio.FIRST_COMPLETED)
            answered.cancel()
            gone.cancel()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.under_way -= 1
            writer.close()


@asynccontextmanager
async def slow_provider() -> AsyncIterator[SlowProvider]:
    slow = SlowProvider()
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0)
    slow.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    try:
        yield slow
    finally:
        server.close()


SLOW = [nothing, dripping_head, dripping_body]


@pytest.mark.parametrize("answer", [*SLOW, without_end])
async def test_a_slow_provider_never_holds_up_a_token_whose_key_is_known(answer: Answer, clock: Clock) -> None:
    async with slow_provider() as slow:
        checker = Tokens(None, clock, keys=KeySet(slow.url, clock))
        await checker.authenticate(signed("RS256"))
        slow.answer = answer
        clock.tick(FRESH)
        async with asyncio.timeout(PATIENCE_S / 2):
            for number in range(50):
                claims = {**GOOD, "sub": f"s{number}"}
                assert (await checker.authenticate(signed("ES256", claims=claims))).subject == f"s{number}"
            while slow.asked < 2:  # they are read again meanwhile
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("answer", SLOW)
async def test_a_reading_ends_however_slowly_the_provider_drips(
    answer: Answer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PATIENCE_S == 5.0
    monkeypatch.setattr(jwks, "PATIENCE_S", 0.3)
    async with slow_provider() as slow, asyncio.timeout(30):
        slow.answer = answer
        checker = Tokens(None, clock, keys=KeySet(slow.url, clock))
        for _ in range(3):
            with pytest.raises(Unavailable, match="JWT_JWKS_URL cannot be read"):
                await checker.authenticate(signed("RS256"))
        assert slow.asked == 1
        slow.answer = all_keys
        clock.tick(AGAIN)
        assert (await checker.authenticate(signed("RS256"))).subject == "ada"
        while slow.under_way:  # no connection is left behind
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("places", [1, 7, 20, 200, 100_000])
async def test_a_flood_of_unknown_keys_holds_up_nobody_else(clock: Clock, places: int) -> None:
    """While the provider is slow at most a quarter of the places wait for it; further calls are told to come again."""
    most = min(MOST_WAITING, max(1, places // 4))
    async with slow_provider() as slow, asyncio.timeout(30):
        checker = wired_tokens(
            Settings(jwt_secret=SECRET, jwt_jwks_url=slow.url, max_concurrent_requests=places), clock
        )
        await checker.authenticate(signed("RS256"))
        slow.answer = nothing
        clock.tick(AGAIN)
        flood = [asyncio.create_task(checker.authenticate(signed("RS256", f"k{n}"))) for n in range(most + 50)]
        done, waiting = set[asyncio.Task[Any]](), set(flood)
        while len(waiting) > most:
            done, waiting = await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED, timeout=0.1)
        assert len(waiting) == most
        assert {type(task.exception()) for task in done} == {Unavailable}
        assert (await checker.authenticate(signed("RS256"))).subject == "ada"
        own = checker.make(subject="op", role="admin")
        assert (await checker.authenticate(own)).subject == "op"
        while slow.asked < 2:
            await asyncio.sleep(0.01)
        for task in flood:
            task.cancel()
        await asyncio.wait(flood)
        assert slow.asked == 2
        assert checker._keys is not None
        assert checker._keys._waiting == 0


async def test_an_unknown_key_is_refused_once_the_keys_were_read_and_is_not_while_they_cannot_be(
    provider: Provider, clock: Clock
) -> None:
    """Whoever has a key that was made a moment ago is told to come again, and not that the token is wrong."""
    checker = tokens(provider, clock)
    assert await refused(checker, signed("RS256", "new"))
    provider.status = 500
    clock.tick(AGAIN)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await checker.authenticate(signed("RS256", "new"))
    assert provider.asked == 2
    assert (await checker.authenticate(signed("RS256"))).subject == "ada"


async def test_a_token_that_was_verified_still_notices_that_its_key_was_withdrawn(
    provider: Provider, clock: Clock
) -> None:
    checker = tokens(provider, clock, SECRET)
    token, own = signed("RS256"), checker.make(subject="op", role="admin")
    assert (await checker.authenticate(own)).subject == "op"
    assert (await checker.authenticate(own)).subject == "op"
    assert provider.asked == 0, "the engine's own tokens need no provider"
    await checker.authenticate(token)
    provider.publish(ALL[1:])
    clock.tick(FRESH)
    assert (await checker.authenticate(token)).subject == "ada"  # which has the keys read again
    async with asyncio.timeout(30):
        while checker._keys is None or checker._keys._reading is not None:
            await asyncio.sleep(0.01)
    assert await refused(checker, token)
