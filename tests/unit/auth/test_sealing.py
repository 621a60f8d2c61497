"""Sealed secrets: readable with the key and under the name alone."""

import pytest

from mastery_engine.auth.sealing import Seal
from mastery_engine.errors import Unavailable

SECRET = b"a secret of a receiver"


def test_what_was_sealed_is_read_again_by_any_process_with_the_key() -> None:
    sealed = Seal(b"key").seal(SECRET, "webhook/default/lms")
    assert SECRET not in sealed
    assert Seal(b"key").open(sealed, "webhook/default/lms") == SECRET


@pytest.mark.parametrize(("key", "name"), [(b"other", "webhook/default/lms"), (b"key", "webhook/default/other")])
def test_another_key_or_name_reads_nothing(key: bytes, name: str) -> None:
    sealed = Seal(b"key").seal(SECRET, "webhook/default/lms")
    with pytest.raises(Unavailable, match="PSEUDONYM_KEY"):
        Seal(key).open(sealed, name)


def test_what_was_changed_is_not_read() -> None:
    sealed = Seal(b"key").seal(SECRET, "name")
    for changed in (sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:5], b""):
        with pytest.raises(Unavailable):
            Seal(b"key").open(changed, "name")


def test_a_derived_secret_belongs_to_its_name_and_key() -> None:
    derived = Seal(b"key").derive("a")
    assert (len(derived), Seal(b"key").derive("a")) == (32, derived)
    assert derived not in (Seal(b"key").derive("b"), Seal(b"other").derive("a"))
