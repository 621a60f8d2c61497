"""The id of a person of another platform whom nobody linked."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.given_ids import is_student_id
from mastery_engine.domain.people.identity import Identity, external_student_id, identity
from mastery_engine.errors import InvalidInput

KEY = b"an example key, not for production"
TEXTS = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=30)


def test_the_worked_example_of_the_documents() -> None:
    person = Identity("https://lms.example", "größe-42")
    assert external_student_id(KEY, "default", person) == "x-nh5gvunjhvzp6k5e45plgb3ltm"


@given(TEXTS, TEXTS, TEXTS)
def test_it_is_the_hash_that_the_contract_names(tenant: str, system: str, id_there: str) -> None:
    words = json.dumps([tenant, system, id_there], ensure_ascii=False, separators=(",", ":")).encode()
    digest = hmac.new(KEY, words, hashlib.sha256).digest()[:16]
    derived = external_student_id(KEY, tenant, Identity(system, id_there))
    assert derived == "x-" + base64.b32encode(digest).decode().lower().strip("=")
    assert is_student_id(derived)
    assert len(derived) == 28


def test_no_two_people_have_one_id() -> None:
    people = [("a", "b", "c"), ("a", "c", "b"), ("b", "a", "c"), ("a", "b,c", ""), ("a", "b", '","c')]
    ids = {external_student_id(KEY, tenant, Identity(system, id_there)) for tenant, system, id_there in people}
    ids.add(external_student_id(b"another key", "a", Identity("b", "c")))
    assert len(ids) == len(people) + 1


def test_an_identity_has_one_spelling() -> None:
    assert identity(" https://lms.example ", "Gro\u0308ße ") == Identity("https://lms.example", "Größe")
    for system, id_there, field in (("", "a", "external[2].system"), ("a", "\x00", "external[2].id")):
        with pytest.raises(InvalidInput) as refused:
            identity(system, id_there, "external[2]")
        assert refused.value.field == field
