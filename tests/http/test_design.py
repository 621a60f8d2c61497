"""The design system: every pair of colours that is used can be read, in light and in dark."""

import re

import pytest

from mastery_engine.http.dashboard.templates import HERE

TOKENS = (HERE / "design" / "tokens.css").read_text()
TEXT, MARKS = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11
GROUNDS = ("ground", "card")
PAIRS = [
    *[(ink, ground, TEXT) for ink in ("ink", "soft", "main", "good", "bad", "fade") for ground in GROUNDS],
    *[(ink, f"{ink}-wash", TEXT) for ink in ("good", "bad", "fade")],
    ("main", "wash", TEXT),
    ("ink", "wash", TEXT),
    ("ink", "track", TEXT),
    ("on-main", "main", TEXT),
    *[("edge", ground, MARKS) for ground in GROUNDS],
    ("main", "track", MARKS),
]


def colours(scheme: str) -> dict[str, str]:
    light, _, dark = TOKENS.partition("@media")
    return dict(re.findall(r"--([\w-]+):(#[0-9a-f]{6})", light)) | (
        dict(re.findall(r"--([\w-]+):(#[0-9a-f]{6})", dark)) if scheme == "dark" else {}
    )


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_can_be_read(scheme: str) -> None:
    found = colours(scheme)
    poor = {pair[:2]: contrast(found[pair[0]], found[pair[1]]) for pair in PAIRS}
    assert not {
        pair: value for (*pair_, least), (pair, value) in zip(PAIRS, poor.items(), strict=True) if value < least
    }


def test_every_colour_of_the_pages_is_a_token() -> None:
    for path in (HERE / "design").glob("*.css"):
        if path.name not in ("tokens.css", "print.css"):
            assert not re.findall(r"#[0-9a-fA-F]{3,6}\b|rgb\(|hsl\(", path.read_text()), path.name


def test_both_schemes_have_the_same_colours() -> None:
    light, _, dark = TOKENS.partition("@media")
    named = [set(re.findall(r"--([\w-]+):#", part)) for part in (light, dark)]
    assert named[0] == named[1]


def test_styles_and_scripts_are_small() -> None:
    sizes = [path.stat().st_size for folder in ("design", "scripts") for path in (HERE / folder).glob("*.*s")]
    assert sum(sizes) < 30_000
