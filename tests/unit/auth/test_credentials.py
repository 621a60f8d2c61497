"""What a platform shows at a door, and what is kept of its secret."""

from base64 import b64encode

import pytest

from mastery_engine.auth.credentials import LONGEST_SHOWN, Shown, fits, hash_of, is_secret, make_secret, shown_in
from mastery_engine.errors import WrongCredential
from mastery_engine.ports.credentials import Credential
from tests.support.samples import NOW

SECRET = make_secret("5f0c", "r_4nd-om")
MOODLE = Credential("5f0c", hash_of(SECRET), "Moodle", "default", ("xapi",), None, NOW)


def basic(text: str) -> str:
    return f"Basic {b64encode(text.encode()).decode()}"


def test_a_secret_names_its_key_and_is_no_json_web_token() -> None:
    assert is_secret(SECRET)
    assert not is_secret("eyJhbGciOiJIUzI1NiJ9.e30.c2ln")
    assert shown_in(f"Bearer {SECRET}", may_be_bearer=True) == Shown("5f0c", SECRET)


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC ", " Basic"])
def test_basic_has_the_key_and_all_after_the_first_colon(scheme: str) -> None:
    given = basic(f"5f0c:{SECRET}:größe").removeprefix("Basic")
    assert shown_in(scheme + given, may_be_bearer=False) == Shown("5f0c", f"{SECRET}:größe")


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic Zm9v Zm9v",
        basic("no colon"),
        f"Basic {b64encode(bytes([255])).decode()}",
        "Digest username=5f0c",
        f"Bearer {SECRET}",
        basic("a:" + "x" * LONGEST_SHOWN),
    ],
)
def test_what_shows_no_key_and_secret_is_refused_without_repeating_it(given: str) -> None:
    with pytest.raises(WrongCredential) as caught:
        shown_in(given, may_be_bearer=False)
    assert SECRET not in caught.value.message
    assert caught.value.challenge.startswith("Basic ")


def test_a_token_of_ours_is_no_secret_of_a_platform() -> None:
    with pytest.raises(WrongCredential, match="or its secret as a bearer token"):
        shown_in("Bearer e30.e30.c2ln", may_be_bearer=True)


def test_only_the_whole_secret_fits() -> None:
    assert fits(MOODLE, SECRET)
    assert not any(fits(MOODLE, wrong) for wrong in ("", SECRET[:-1], SECRET + "x", SECRET.upper(), "größe"))
    assert not fits(None, "")
    assert not fits(None, SECRET)
