"""Tokens of an identity provider: its keys by URL, their rotation, and what does not pass for one of them."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mastery_engine.auth.jwks import AGAIN, FRESH, LONGEST, KeySet
from mastery_engine.auth.tokens import Tokens
from mastery_engine.errors import InvalidInput, Unauthenticated, Unavailable
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
    [b"", b"junk", b"[]", b"{}", b'{"keys": {}}', json.dumps({"keys": [{}] * 101}).encode(), b" " * (LONGEST + 1)],
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
