"""Pictures with a badge baked in: ours, and what is no such picture."""

import json
import zlib

import pytest
from defusedxml.minidom import parseString
from openbadgeslib.ob3 import OB3Verifier

from mastery_engine.out.badges.baking import KEYWORD, PNG, NothingBaked, bake_png, bake_svg, chunk, taken_out
from mastery_engine.out.badges.pictures import medal_png, svg_of
from mastery_engine.out.badges.verify import verify
from tests.support.badges import BADGE, LATER, badge_token, known, signed_badge

WITH_ENTITY = (
    b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns:openbadges="https://purl.imsglobal.org/ob/v3p0">'
    b"<openbadges:credential>&a;</openbadges:credential></svg>"
)
DOCUMENT = json.dumps(signed_badge(name="A ]]> B & <C>"), ensure_ascii=False)


@pytest.mark.parametrize("credential", [DOCUMENT, badge_token()])
def test_what_is_baked_in_is_taken_out_by_us_and_by_others(credential: str) -> None:
    svg = bake_svg(svg_of(BADGE), credential).encode()
    png = bake_png(medal_png(), credential)
    assert taken_out(svg) == taken_out(png) == credential
    assert OB3Verifier.extract_token_from_svg(svg) == credential
    assert OB3Verifier.extract_token_from_png(png) == credential
    assert verify(png, LATER, known()).verified
    assert verify(svg, LATER, known()).verified
    assert taken_out(bake_png(png, "another")) == "another", "the first is replaced"


def test_a_picture_says_what_it_is() -> None:
    root = parseString(svg_of(BADGE)).documentElement
    assert root.getElementsByTagName("title")[0].firstChild.data == "Python & Co: proficient"
    assert root.getAttribute("role") == "img"
    assert "http" not in svg_of(BADGE).replace("http://www.w3.org/2000/svg", "")


def test_a_packed_credential_is_read_but_no_bomb() -> None:
    def packed(text: bytes) -> bytes:
        return medal_png()[:-12] + chunk(b"iTXt", KEYWORD + b"\0\1\0\0\0" + zlib.compress(text)) + chunk(b"IEND", b"")

    assert taken_out(packed(b"a.b.c")) == "a.b.c"
    with pytest.raises(NothingBaked, match="too large"):
        taken_out(packed(b"x" * 50_000_000))


@pytest.mark.parametrize(
    "picture",
    [
        medal_png(),
        svg_of(BADGE).encode(),
        bake_png(medal_png(), "a.b.c")[:-30],
        bake_png(medal_png(), "a.b.c").replace(b"a.b.c", b"a.b.d"),
        PNG,
        b"<svg",
        b"<svg><script/></svg>",
        WITH_ENTITY,
    ],
)
def test_a_picture_without_a_credential(picture: bytes) -> None:
    with pytest.raises(NothingBaked):
        taken_out(picture)
    assert not verify(picture, LATER, known()).verified
