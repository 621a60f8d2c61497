"""Which media type a caller would rather have."""

import pytest

from mastery_engine.http.accept import preferred

OFFERED = ("application/json", "application/vc+jwt", "text/html")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        (BROWSER, "text/html"),
        ("text/html;q=0.5, application/json", "application/json"),
        ("application/json;q=0.5, TEXT/HTML", "text/html"),
        ("application/vc+jwt", "application/vc+jwt"),
        ("application/vc+jwt;q=0, */*", "application/json"),
        ("*/*;q=1, application/json;q=0.1", "application/vc+jwt"),
        ("image/png", "application/json"),
        ("text/html;q=high", "application/json"),
        ("text/*", "text/html"),
        (";;q=,,", "application/json"),
        (f"{'x/y,' * 10_000}text/html", "application/json"),
    ],
)
def test_what_is_preferred(accept: str, found: str) -> None:
    assert preferred(accept, OFFERED) == found
