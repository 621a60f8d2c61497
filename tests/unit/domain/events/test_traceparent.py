"""What is no traceparent by the standard is not passed on."""

import pytest

from mastery_engine.domain.events.traceparent import traceparent_in

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_sound_one_is_passed_on_as_it_is() -> None:
    assert traceparent_in(GOOD) == GOOD
    assert traceparent_in("cc" + GOOD[2:]) == "cc" + GOOD[2:]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        GOOD.upper(),
        GOOD + "\n",
        GOOD + "-more",
        GOOD[:-1],
        "ff" + GOOD[2:],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    ],
)
def test_what_is_none_is_left_out(text: str | None) -> None:
    assert traceparent_in(text) is None
