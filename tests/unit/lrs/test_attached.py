"""Bodies with attachments, and signed statements: what is said must be what came."""

from base64 import b64encode, urlsafe_b64encode
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mastery_engine.lrs.attached import contents_are_as_described
from mastery_engine.lrs.broken import RuleBroken
from mastery_engine.lrs.multipart import MOST_PARTS, BodyPart, boundary_is_named, parts_of, written
from mastery_engine.lrs.signatures import SIGNATURE, signatures_are_of_statement
from tests.support.statements import Statement, small, whole, within

CONTENT = b"an essay\r\nin two lines\x00\xff"
KEY = rsa.generate_private_key(65_537, 2_048)


def attachment(content: bytes = CONTENT, **more: Any) -> Statement:
    return {
        "usageType": "https://lms.example/essay",
        "display": {"en": "Essay"},
        "contentType": "text/plain",
        "length": len(content),
        "sha2": sha256(content).hexdigest(),
    } | more


def part(content: bytes = CONTENT, **headers: str) -> BodyPart:
    usual = {"content-transfer-encoding": "binary", "x-experience-api-hash": sha256(content).hexdigest()}
    return BodyPart({**usual, **headers}, content)


def broken_by(statement: Statement, *parts: BodyPart) -> str:
    with pytest.raises(RuleBroken) as caught:
        contents_are_as_described([statement], parts)
    return caught.value.rule


def test_parts_are_read_as_they_were_written() -> None:
    parts = [BodyPart({"Content-Type": "application/json"}, b"{}"), BodyPart({}, CONTENT), BodyPart({"A": "b: c"}, b"")]
    body = written(parts, "x")
    assert parts_of(body, "x") == [
        BodyPart({"content-type": "application/json"}, b"{}"),
        BodyPart({}, CONTENT),
        BodyPart({"a": "b: c"}, b""),
    ]
    assert parts_of(b"preamble\r\n" + body + b"epilogue", "x") == parts_of(body, "x")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x--",
        b"\r\n--x--\r\n",
        b"--y\r\n\r\na\r\n--y--",
        b"--x\r\n\r\na\r\n",
        b"--x\r\n\r\na\r\n--x\r\n",
        b"--xA: b\r\n\r\na\r\n--x--",
        b"--x\r\nA: b\r\n--x--",
        b"--x\r\nno header\r\n\r\na\r\n--x--",
        b"--x\r\nA: " + b"b" * 10_000 + b"\r\n\r\na\r\n--x--",
        b"--x\r\n\r\na\r\n" * (MOST_PARTS + 1) + b"--x--",
    ],
)
def test_a_body_that_the_boundary_does_not_frame_is_refused(body: bytes) -> None:
    with pytest.raises(RuleBroken):
        parts_of(body, "x")


@pytest.mark.parametrize(
    "kind", ["multipart/mixed", "multipart/mixed; boundary=", "multipart/mixed; boundary=" + "x" * 71]
)
def test_a_content_type_names_its_boundary(kind: str) -> None:
    with pytest.raises(RuleBroken):
        boundary_is_named(kind)
    assert boundary_is_named('multipart/mixed; charset=x; boundary="a b"') == "a b"


def test_contents_are_what_the_statements_say() -> None:
    statement = small(attachments=[attachment()])
    assert contents_are_as_described([statement], [part()]) == {attachment()["sha2"]: CONTENT}
    assert contents_are_as_described([within(statement)], [part()])
    in_hex = CONTENT.hex().encode()
    told = small(attachments=[attachment(in_hex, length=len(CONTENT))])
    assert contents_are_as_described([told], [part(in_hex)]), "as the standard's own suite sends an image"
    long = sha256(CONTENT).hexdigest() * 2
    assert (
        broken_by(small(attachments=[attachment(sha2=long)]), part(**{"x-experience-api-hash": long}))
        == "content_has_hash"
    )
    assert broken_by(small(attachments=[attachment()])) == "contents_are_sent_or_linked"
    assert contents_are_as_described([small(attachments=[attachment(fileUrl="https://a.example")])], []) == {}
    assert broken_by(small(attachments=[attachment(length=1)]), part()) == "length_is_true"
    lying = part(b"other", **{"x-experience-api-hash": attachment()["sha2"]})
    assert broken_by(small(attachments=[attachment()]), lying) == "content_has_hash"
    assert broken_by(small(), part()) == "part_is_described"
    assert broken_by(statement, part(**{"content-transfer-encoding": "base64"})) == "part_is_binary"
    assert broken_by(statement, BodyPart({"content-transfer-encoding": "binary"}, CONTENT)) == "hash_is_named"


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return urlsafe_b64encode(raw).decode().rstrip("=")


def certificate(key: Any) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a school")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    times = built.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
    return b64encode(times.sign(key, SHA256()).public_bytes(Encoding.DER)).decode()


def jws(payload: Any, key: rsa.RSAPrivateKey = KEY, **header: Any) -> bytes:
    signed = f"{encoded({'alg': 'RS256', **header})}.{encoded(payload)}"
    return f"{signed}.{encoded(key.sign(signed.encode(), PKCS1v15(), SHA256()))}".encode()


def check_signature(statement: Statement, signature: bytes, **more: Any) -> None:
    signed = attachment(signature, usageType=SIGNATURE, contentType="application/octet-stream") | more
    whole_statement = {**statement, "attachments": [*statement.get("attachments", []), signed]}
    signatures_are_of_statement(whole_statement, {signed["sha2"]: signature}, "2.0.0")


def test_a_signature_is_of_its_statement() -> None:
    check_signature(whole(), jws(whole()))
    check_signature(whole(), jws(whole(), x5c=[certificate(KEY)]))
    check_signature(small(), jws({**small(), "attachments": []}))
    check_signature(
        {**small(), "result": {"duration": "PT1.239S"}}, jws({**small(), "result": {"duration": "PT1.23S"}})
    )
    signatures_are_of_statement(whole(), {}, "2.0.0")  # has attachments, and no signature among them


OTHER_KEY = rsa.generate_private_key(65_537, 2_048)
WRONG: list[tuple[str, bytes, dict[str, Any]]] = [
    ("signature_is_octets", jws(whole()), {"contentType": "text/plain"}),
    ("signature_is_sent", jws(whole()), {"sha2": "0" * 64}),
    ("signature_is_jws", b"a.b", {}),
    ("signature_is_jws", b"\xff.b.c", {}),
    ("signature_is_jws", b"e30.e30!.c", {}),
    ("signature_is_of_rsa", jws(whole(), alg="HS256"), {}),
    ("signature_is_of_rsa", jws(whole(), alg="none"), {}),
    ("signature_is_of_rsa", jws(whole(), alg=["RS256"]), {}),
    ("signature_is_of_rsa", f"{encoded([])}.{encoded({})}.{encoded(b'x')}".encode(), {}),
    ("has_required", jws({}), {}),
    ("payload_is_statement", jws({**whole(), "result": {}}), {}),
    ("payload_is_statement", jws({**whole(), "id": "2a41c918-b88b-4220-a000-0fb4b5bd5f70"}), {}),
    ("payload_is_statement", jws({**whole(), "timestamp": "2026-01-15T12:30:00Z"}), {}),
    ("signature_fits_certificate", jws(whole(), x5c=[certificate(OTHER_KEY)]), {}),
    ("signature_fits_certificate", jws(whole(), x5c=[certificate(ec.generate_private_key(ec.SECP256R1()))]), {}),
    ("signature_fits_certificate", jws(whole(), x5c=[]), {}),
    ("signature_fits_certificate", jws(whole(), x5c=["x"]), {}),
    ("signature_fits_certificate", jws(whole(), x5c=7), {}),
]


@pytest.mark.parametrize(("rule", "signature", "more"), WRONG)
def test_what_is_no_signature_of_it_is_refused(rule: str, signature: bytes, more: dict[str, Any]) -> None:
    signed = attachment(signature, usageType=SIGNATURE, contentType="application/octet-stream")
    statement = {**whole(), "attachments": [*whole()["attachments"], signed | more]}
    with pytest.raises(RuleBroken) as caught:
        signatures_are_of_statement(statement, {signed["sha2"]: signature}, "2.0.0")
    assert caught.value.rule == rule
