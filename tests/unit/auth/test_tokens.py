"""Tokens that were never meant to be: each is refused with a sentence, and none breaks the call."""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from mastery_engine.auth.jwks import KeySet
from mastery_engine.auth.tokens import LATEST_S, Tokens
from mastery_engine.errors import Forbidden, InvalidInput, MasteryError, StartRefused, Unauthenticated, Unavailable
from mastery_engine.wiring_tokens import tokens
from tests.support.calls import Api, settings_of
from tests.support.live import SECRET
from tests.support.samples import Clock

NOW = 1_800_000_000
GOOD: dict[str, Any] = {"sub": "ada", "role": "teacher", "exp": NOW + 600}
HEAD = b'{"alg":"HS256","typ":"JWT"}'
NESTED = b"[" * 10_000 + b"]" * 10_000


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW * 1_000_000)


def encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def raw(claims: bytes, head: bytes = HEAD) -> str:
    """A token with these bytes, well signed."""
    signed = encoded(head) + b"." + encoded(claims)
    signature = hmac.digest(SECRET.encode(), signed, hashlib.sha256)
    return (signed + b"." + encoded(signature)).decode()


def claims_with(name: str, value: str) -> bytes:
    """Good claims, one of them in other JSON."""
    rest = {key: claim for key, claim in GOOD.items() if key != name}
    return json.dumps(rest).encode()[:-1] + f', "{name}": {value}}}'.encode()


async def refusal(checker: Tokens, token: str, kind: type[MasteryError] = Unauthenticated) -> str:
    with pytest.raises(kind) as refused:
        await checker.authenticate(token)
    assert refused.value.message.endswith(".")
    return refused.value.message


MOMENTS = ["9" * 400, "-" + "9" * 400, "1" + "0" * 4_000, "1e308", "-1e308", "NaN", "Infinity", "-Infinity", "true"]
MOMENTS += ["false", '"1900000000"', "[]", "{}", str(NOW * 1_000), str(LATEST_S + 1), "-1"]


@pytest.mark.parametrize("name", ["exp", "nbf"])
@pytest.mark.parametrize("value", MOMENTS)
async def test_a_moment_is_a_number_of_seconds(clock: Clock, name: str, value: str) -> None:
    """Milliseconds are a usual mistake, and would be valid for fifty thousand years."""
    said = await refusal(Tokens(SECRET, clock), raw(claims_with(name, value)))
    assert said == f"The token's {name} must be a number of seconds since 1970."


async def test_moments_that_are_none_and_others_that_are(clock: Clock) -> None:
    checker = Tokens(SECRET, clock)
    assert await refusal(checker, raw(claims_with("exp", "null"))) == "The token is not valid: it has no exp."
    assert "nbf must be a number" in await refusal(checker, raw(claims_with("nbf", "null")))
    assert "cannot" not in await refusal(checker, raw(claims_with("exp", "9" * 5_000)))
    for name, value in (("exp", str(LATEST_S)), ("exp", f"{NOW + 600}.5"), ("nbf", "0"), ("iat", "9" * 400)):
        assert (await checker.authenticate(raw(claims_with(name, value)))).subject == "ada"


@pytest.mark.parametrize(
    "token",
    [
        raw(NESTED),
        raw(claims_with("students", NESTED.decode())),
        raw(claims_with("sub", NESTED.decode())),
        raw(b"[]"),
        raw(b"null"),
        raw(b"\xff"),
        raw(b""),
        raw(json.dumps(GOOD).encode(), b"[]"),
        raw(json.dumps(GOOD).encode(), NESTED),
        raw(json.dumps(GOOD).encode(), b'{"alg":["HS256"]}'),
        raw(json.dumps(GOOD).encode(), b'{"alg":{"a":1}}'),
        raw(json.dumps(GOOD).encode(), b'{"alg":"HS256","kid":{"a":1}}'),
        raw(json.dumps(GOOD).encode(), b'{"alg":"HS256","kid":null}'),
        raw(json.dumps(GOOD).encode(), b'{"alg":"HS256","crit":["exp"],"exp":1}'),
        raw(json.dumps(GOOD).encode(), b'{"alg":"HS256","crit":[]}'),
        raw(json.dumps(GOOD).encode(), b'{"alg":"HS256","crit":"b64","b64":false}'),
        raw(json.dumps(GOOD).encode(), b'{"alg":"HS256","crit":["b64"],"b64":false}'),
        raw(json.dumps(GOOD).encode(), b'{"alg":"hs256"}'),
        raw(json.dumps(GOOD).encode(), b'{"alg":"none"}'),
        "",
        ".",
        "..",
        "....",
        "a" * 8_192,
        "." * 8_192,
        "é.é.é",
        "\ud800.a.b",
        "\x00",
    ],
)
async def test_what_is_no_token_is_refused(clock: Clock, token: str) -> None:
    await refusal(Tokens(SECRET, clock), token)
    with_keys = Tokens(None, clock, keys=KeySet("http://127.0.0.1:9/none", clock))
    await refusal(with_keys, token)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("sub", "1", Unauthenticated),
        ("sub", '""', Unauthenticated),
        ("sub", '"\\ud800"', Unauthenticated),
        ("role", "1", Forbidden),
        ("role", "[]", Forbidden),
        ("role", '{"teacher": 1}', Forbidden),
        ("tenant", "[]", Unauthenticated),
        ("tenant", "null", Unauthenticated),
        ("students", '"s1"', Unauthenticated),
        ("students", "[1]", Unauthenticated),
        ("students", '{"s1": 1}', Unauthenticated),
        ("students", '["\\ud800"]', Unauthenticated),
        ("cohorts", '["a", ["b"]]', Unauthenticated),
        ("cohorts", '["\\udfff"]', Unauthenticated),
        ("cohorts", json.dumps([f"c{n}" for n in range(101)]), Unauthenticated),
    ],
)
async def test_claims_of_another_kind_are_refused(
    clock: Clock, name: str, value: str, kind: type[MasteryError]
) -> None:
    assert name in await refusal(Tokens(SECRET, clock), raw(claims_with(name, value)), kind)


async def test_ids_in_a_token_are_ids_by_the_rule_of_all_doors(clock: Clock) -> None:
    tokens = Tokens(SECRET, clock)
    caller = await tokens.authenticate(raw(claims_with("cohorts", '[" Gro\\u0308\\u00dfe ", "edX/DemoX/2026"]')))
    assert caller.cohorts == {"Größe", "edX/DemoX/2026"}
    for name, value, said in (
        ("students", '["ada", "ada@school.example"]', "use an opaque id of your own"),
        ("cohorts", '["a\\u0007"]', "a control character"),
        ("cohorts", '[" "]', "1 to 100 characters"),
    ):
        assert said in await refusal(tokens, raw(claims_with(name, value)))


async def test_five_thousand_tokens_at_random_are_refused_or_good(clock: Clock) -> None:
    """No other error comes out than those that are answers, whatever the bytes, well signed or not."""
    chance = random.Random(22)
    checkers = [
        Tokens(SECRET, clock),
        Tokens(SECRET, clock, issuer="https://school.example", audience="mastery"),
        Tokens(SECRET, clock, keys=KeySet("http://127.0.0.1:9/none", clock)),
        Tokens(None, clock, keys=KeySet("http://127.0.0.1:9/none", clock)),
    ]
    outcomes = dict.fromkeys(["good", "Unauthenticated", "Forbidden", "Unavailable", "UnknownKey"], 0)
    for _ in range(5_000):
        token = a_token(chance)
        try:
            await chance.choice(checkers).authenticate(token)
        except (Unauthenticated, Forbidden, Unavailable) as error:
            assert error.message.endswith("."), token
            outcomes[type(error).__name__] += 1
        else:
            outcomes["good"] += 1
    assert outcomes["Unauthenticated"] > 1_000
    assert outcomes["good"] > 50
    assert outcomes["Forbidden"] > 20
    assert outcomes["Unavailable"] > 50


ODD: list[Callable[[random.Random], str]] = [
    lambda chance: "9" * chance.randint(1, 4_400),
    lambda chance: f"{chance.uniform(-1, 1)}e{chance.randint(-400, 400)}",
    lambda chance: "[" * (depth := chance.randint(1, 2_000)) + "]" * depth,
    lambda chance: '{"a":' * (depth := chance.randint(1, 500)) + "1" + "}" * depth,
    lambda chance: json.dumps("".join(chr(chance.choice([0, 9, 65, 0x7F, 0xD800, 0xFFFF, 0x1F600])) for _ in range(5))),
    lambda chance: chance.choice(
        ["NaN", "Infinity", "-Infinity", "null", "true", "false", '""', "[]", "{}", "-0", "1.5"]
    ),
    lambda chance: json.dumps([chance.choice(["a", 1, None, [], {}]) for _ in range(chance.randint(0, 200))]),
    lambda chance: json.dumps(chance.choice(["admin", "mastery", "https://school.example", "RS256", "HS256", "none"])),
]
CLAIMS = ["sub", "role", "exp", "nbf", "iat", "jti", "iss", "aud", "tenant", "students", "cohorts", "x"]
HEADERS = ["alg", "typ", "kid", "crit", "b64", "jwk", "jku", "x5u", "cty", "zip"]


def a_token(chance: random.Random) -> str:
    head = an_object(chance, {"alg": chance.choice(["HS256", "HS256", "HS256", "RS256", "ES256"])}, HEADERS, 0.3)
    claims = an_object(chance, {**GOOD, "iss": "https://school.example", "aud": "mastery"}, CLAIMS, 0.9)
    token = raw(claims, head)
    match chance.randint(0, 9):
        case 0:
            place = chance.randrange(len(token))
            return token[:place] + chr(chance.choice([0, 46, 61, 95, 233, 0x1F600])) + token[place + 1 :]
        case 1:
            return token[: chance.randrange(len(token))]
        case _:
            return token


def an_object(chance: random.Random, good: dict[str, Any], names: list[str], odds: float) -> bytes:
    values = {name: json.dumps(value) for name, value in good.items()}
    while chance.random() < odds:
        values[chance.choice(names)] = chance.choice(ODD)(chance)
        odds /= 2
    return ("{" + ",".join(f'"{name}":{value}' for name, value in values.items()) + "}").encode()


# ---- what is not set is named


async def test_a_setting_that_is_missing_is_named(clock: Clock) -> None:
    plain = Tokens(SECRET, clock)
    strict = Tokens(SECRET, clock, issuer="https://school.example", audience="mastery")
    said = await refusal(plain, raw(claims_with("aud", '"mastery"')))
    assert said.startswith("The token is not valid: it has an aud, but JWT_AUDIENCE is not set")
    assert "it has no iss, which JWT_ISSUER asks for" in await refusal(strict, raw(json.dumps(GOOD).encode()))
    issued = {**GOOD, "iss": "https://school.example"}
    assert "it has no aud, which JWT_AUDIENCE asks for" in await refusal(strict, raw(json.dumps(issued).encode()))
    other = json.dumps({**issued, "aud": "billing"}).encode()
    assert "its aud is not that of JWT_AUDIENCE" in await refusal(strict, raw(other))
    foreign = json.dumps({**GOOD, "iss": "https://other.example", "aud": "mastery"}).encode()
    assert "its iss is not that of JWT_ISSUER" in await refusal(strict, raw(foreign))
    assert (await strict.authenticate(raw(json.dumps({**issued, "aud": ["x", "mastery"]}).encode()))).subject == "ada"
    provided = Tokens(None, clock, keys=KeySet("http://127.0.0.1:9/none", clock))
    assert "HS256 needs JWT_SECRET, which is not set" in await refusal(provided, raw(json.dumps(GOOD).encode()))
    rsa = raw(json.dumps(GOOD).encode(), b'{"alg":"RS256"}')
    assert "RS256 needs the keys of an identity provider, but JWT_JWKS_URL is not set" in await refusal(plain, rsa)
    none = await refusal(plain, raw(json.dumps(GOOD).encode(), b'{"alg":"none"}'))
    assert none == "The token is not valid: its algorithm is none of HS256, RS256, ES256, EdDSA."


async def test_only_a_well_signed_token_learns_what_is_set(clock: Clock) -> None:
    forged = jwt.encode({**GOOD, "aud": "x", "iss": "y"}, "another secret that is long enough", algorithm="HS256")
    for checker in (Tokens(SECRET, clock), Tokens(SECRET, clock, issuer="https://school.example", audience="mastery")):
        assert await refusal(checker, forged) == "The token is not valid: its signature is wrong."


async def test_no_token_is_answered_500(api: Api) -> None:
    """Seen: an exp of 10^400, and nested brackets."""
    for token in (raw(claims_with("exp", "1" + "0" * 400)), raw(claims_with("nbf", "9" * 400)), raw(b"[" * 3_000)):
        answer = await api.post("/mastery/query", {"student_id": "s1"}, token=token)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTH_ERROR")


@pytest.mark.parametrize("secret", ["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "ssh-rsa AAAAB3Nza"])
def test_a_public_key_is_no_secret(tmp_path: Any, secret: str) -> None:
    with pytest.raises(StartRefused, match="JWT_SECRET is a key in PEM or SSH format"):
        tokens(settings_of(tmp_path, jwt_secret=secret))


async def test_a_token_cannot_be_made_for_longer_than_one_is_taken(clock: Clock) -> None:
    checker = Tokens(SECRET, clock)
    endless = checker.make(subject="op", role="admin", lives_s=10**12)
    assert "exp must be a number of seconds" in await refusal(checker, endless)
    with pytest.raises(InvalidInput):
        Tokens(None, clock).make(subject="op", role="admin")
