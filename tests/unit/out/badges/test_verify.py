"""Verifying badges: ours, changed ones, and those of others, valid and broken."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.out.badges.credential import credential_of
from mastery_engine.out.badges.multibase import multikey
from mastery_engine.out.badges.proofs import signed
from mastery_engine.out.badges.status_list import LENGTH, NOTHING_REVOKED, with_bit
from mastery_engine.out.badges.tokens import token_of
from mastery_engine.out.badges.verify import KnownIssuers, Verdict, verify
from tests.support.badges import (
    AWARDED,
    BADGE,
    FOREIGN,
    LATER,
    METHOD,
    NAMED,
    NEEDS_FOREIGN,
    PUBLIC,
    SCHOOL,
    badge_token,
    foreign,
    known,
    served_list,
    signed_badge,
)

DOCUMENT = json.dumps(signed_badge(), separators=(",", ":"), ensure_ascii=False).encode()
TOKEN = badge_token().encode()
OB30 = FOREIGN / "openbadges/ob30"
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def _failed(verdict: Verdict) -> list[str]:
    return [one.name for one in verdict.checks if not one.passed]


def _verified(document: bytes, *, at: Micros = LATER, **more: Any) -> Verdict:
    return verify(document, at, more.get("known", known()))


@pytest.mark.parametrize("document", [DOCUMENT, TOKEN])
def test_a_badge_of_ours(document: bytes) -> None:
    verdict = _verified(document)
    assert (verdict.verified, verdict.is_issuer_known, verdict.issuer) == (True, True, SCHOOL.did), verdict
    assert verdict.keys == [METHOD]
    assert verdict.credential["credentialSubject"]["achievement"]["name"] == "Python & Co: proficient"
    assert "Ada" not in document.decode()
    assert "s_1" not in document.decode()


@given(place=st.integers(0, len(DOCUMENT) - 1), byte=st.integers(0, 255))
@example(place=DOCUMENT.index(b"AchievementCredential"), byte=ord("B"))
@settings(max_examples=60)
def test_one_changed_byte_of_a_document_fails(place: int, byte: int) -> None:
    changed = DOCUMENT[:place] + bytes([byte]) + DOCUMENT[place + 1 :]
    if changed != DOCUMENT:
        assert not _verified(changed).verified, changed


@given(place=st.integers(0, len(TOKEN) - 1), byte=st.integers(0, 255))
@example(place=len(TOKEN) - 1, byte=TOKEN[-1] + 1)
@settings(max_examples=60)
def test_one_changed_byte_of_a_token_fails(place: int, byte: int) -> None:
    changed = TOKEN[:place] + bytes([byte]) + TOKEN[place + 1 :]
    if changed != TOKEN:
        assert not _verified(changed).verified


def test_each_end_of_a_token_has_one_form() -> None:
    """The last character of a signature has bits that no byte takes: another one would be the same signature."""
    same = [TOKEN[:-1] + bytes([byte]) for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"]
    assert [_verified(one).verified for one in same].count(True) == 1


def test_what_no_statement_covers_is_refused() -> None:
    secured = signed_badge()
    subject = secured["credentialSubject"]
    for added in (
        {"unheardOf": "by the contexts"},
        {"https://www.w3.org/2018/credentials#validUntil": "2020-01-01T00:00:00Z"},
        {"@included": []},
        {"credentialSubject": {**subject, "@context": {"name": "https://schema.org/name"}}},
        {"credentialSubject": {**subject, "type": ["AchievementSubject", "Unheard"]}},
    ):
        verdict = _verified(json.dumps({**secured, **added}).encode())
        assert "signature" in _failed(verdict), added
    assert not _verified(DOCUMENT.replace(b'"proof":', b'"tag":NaN,"proof":')).verified
    twice = DOCUMENT.replace(b'"name":', b'"name":"Another","name":', 1)
    assert not _verified(twice).verified


def test_contexts_are_never_fetched() -> None:
    secured = signed_badge()
    for address in ("https://evil.example/context", "http://127.0.0.1/", "file:///etc/passwd"):
        verdict = _verified(json.dumps({**secured, "@context": [*secured["@context"], address]}).encode())
        assert "fetches none" in " ".join(one.message for one in verdict.checks)


def test_a_key_that_is_not_the_issuers() -> None:
    credential = credential_of(BADGE, SCHOOL)
    other = multikey(OTHER.public_key())
    for method in (METHOD, SCHOOL.method(other), f"did:key:{other}#{other}", f"https://evil.example#{other}"):
        forged = json.dumps(signed(credential, OTHER, method, AWARDED)).encode()
        token = token_of(credential, OTHER, method).encode()
        assert _failed(_verified(forged)) == ["signature"]
        assert _failed(_verified(token)) == ["signature"]
        unknown = KnownIssuers(lists=known().lists)
        assert "signature" in _failed(_verified(forged, known=unknown)), "a DID of a website names its keys itself"
        assert "signature" in _failed(_verified(token, known=unknown))


def test_all_keys_that_ever_signed_stay() -> None:
    new = multikey(OTHER.public_key())
    assert _verified(DOCUMENT, known=known(NOTHING_REVOKED, PUBLIC, new)).verified
    assert _failed(_verified(DOCUMENT, known=known(NOTHING_REVOKED, new))) == ["signature", "status"]


def test_the_dates() -> None:
    assert _failed(_verified(DOCUMENT, at=AWARDED - DAY)) == ["dates", "status"]
    until = signed_badge(validUntil="2026-01-15T00:00:00Z")
    assert _failed(_verified(json.dumps(until).encode())) == ["dates"]
    assert _failed(_verified(badge_token(validUntil="2026-01-15T00:00:00Z").encode())) == ["dates"]


def test_a_revoked_badge_says_so() -> None:
    revoked = with_bit(NOTHING_REVOKED, BADGE.status.index)
    for document in (DOCUMENT, TOKEN):
        verdict = _verified(document, known=known(revoked))
        assert [one.message for one in verdict.checks if not one.passed] == ["It was revoked."]
    others = with_bit(with_bit(NOTHING_REVOKED, BADGE.status.index - 1), BADGE.status.index + 1)
    assert _verified(DOCUMENT, known=known(others)).verified


def test_a_status_that_is_not_known_verifies_nothing() -> None:
    keys = known().documents
    assert _failed(_verified(DOCUMENT, known=KnownIssuers(keys))) == ["status"]
    lists = {SCHOOL.status_list(0): served_list().replace(b"uH4s", b"uH5s")}
    assert _failed(_verified(DOCUMENT, known=KnownIssuers(keys, lists))) == ["status"]
    beyond = signed_badge(credentialStatus={**signed_badge()["credentialStatus"], "statusListIndex": str(LENGTH)})
    assert _failed(_verified(json.dumps(beyond).encode())) == ["status"]


def test_a_foreign_verifier_accepts_ours_and_refuses_what_was_changed() -> None:
    """openbadgeslib checks Data Integrity and tokens, and the status; the signature of a list where it is a token."""
    for badge in (BADGE, NAMED):
        document, token = json.dumps(signed_badge(badge)), badge_token(badge)
        foreign().check_document(document)
        foreign().check_token(token)
        foreign(as_token=False).check_token(token, lists_are_tokens=False)
        for changed in (document.replace("Python", "Pyton"), document.replace("2026", "2025")):
            with pytest.raises(Exception, match=r"(?i)signature|proof"):
                foreign().check_document(changed)
        with pytest.raises(Exception, match=r"(?i)signature|invalid"):
            foreign().check_token(token[:-20] + "A" * 20)
        revoked = with_bit(NOTHING_REVOKED, badge.status.index)
        with pytest.raises(Exception, match="is set at index"):
            foreign(revoked).check_document(document)
        with pytest.raises(Exception, match="is set at index"):
            foreign(revoked).check_token(token)


VALID = {
    "simple.json",
    "simple_v1.json",
    "simple-context-version.json",
    "simple-did-web-method.json",
    "simple-json.svg",
    "simple-jwt.svg",
    "simple-jwt_v1.svg",
}
BROKEN = {
    "complete_v1.json": {"signature", "dates", "status"},  # from before its types were in the context
    "credential-status-revoked-blank-nodes.json": {"status"},
    "credential-status-revoked.json": {"status"},
    "derivedcredential.json": {"signature"},  # by ecdsa-sd-2023, which is not ours
    "endorsement-err-schema-status-refresh.json": {"shape", "signature", "status"},
    "simple-err-context.json": {"shape", "signature"},
    "simple-err-credential-subject-identifier-type.json": {"shape", "signature"},
    "simple-err-credential-subject-result-type.json": {"shape", "signature"},
    "simple-err-evidence-type.json": {"shape", "signature"},
    "simple-err-issued.json": {"shape", "dates"},
    "simple-err-issuer-parentorg-type.json": {"shape", "signature"},
    "simple-err-issuer.json": {"shape", "signature"},
    "simple-err-proof-method-unknown-did-method.json": {"signature"},
    "simple-err-proof-method.json": {"signature"},
    "simple-err-type.json": {"shape", "signature"},
    "simple-noproof.json": {"shape", "signature"},
}


@NEEDS_FOREIGN
def test_badges_of_others() -> None:
    status = json.loads((OB30 / "bit-string-list/credential-status-revoked.json").read_text())["credentialStatus"]
    lists = {status["statusListCredential"]: (OB30 / "bit-string-list/testlist").read_bytes()}
    found = {
        file.name: set(_failed(_verified(file.read_bytes(), known=KnownIssuers(lists=lists))))
        for file in sorted(OB30.rglob("*"))
        if file.is_file() and file.name != "testlist"
    }
    assert found == BROKEN | {name: set() for name in VALID}


@NEEDS_FOREIGN
def test_a_key_that_a_badge_names_itself_shows_nobody() -> None:
    verdict = _verified((OB30 / "simple.json").read_bytes())
    assert (verdict.verified, verdict.is_issuer_known) == (True, False)


@pytest.mark.parametrize(
    "junk",
    [b"", b"{", b"[]", b"null", b"a.b.c", b"\xff\xfe", b"{}", b'{"proof": []}', b"..", b'{"@context": 5, "proof": {}}'],
)
def test_junk_is_no_badge(junk: bytes) -> None:
    assert not _verified(junk).verified


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner) | inner)
)
@settings(max_examples=30)
def test_whatever_a_field_holds_has_an_answer(value: Any) -> None:
    secured = signed_badge()
    for name in ("issuer", "type", "credentialSubject", "credentialStatus", "validFrom", "proof", "@context"):
        assert not _verified(json.dumps({**secured, name: value}).encode()).verified or name == "credentialStatus"
