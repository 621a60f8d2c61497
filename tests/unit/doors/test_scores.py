"""How right something was: one rule after another, as the contract has them."""

import pytest

from mastery_engine.doors.profiles.scores import NoScore, Score, score_from


def score(**given: object) -> Score | NoScore:
    parts = {"raw": None, "least": None, "most": None, "scaled": None, "success": None}
    return score_from(**(parts | given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "fraction"),
    [
        ({"raw": 7, "least": 0, "most": 10, "scaled": 0.2}, 0.7),  # raw between the two decides
        ({"raw": 7, "most": 10}, 0.7),
        ({"raw": 3, "least": 1, "most": 5}, 0.5),
        ({"raw": -1, "least": -2, "most": 2}, 0.25),
        ({"raw": 7, "scaled": 0.6}, 0.6),  # of how many is not said
        ({"scaled": 0.6}, 0.6),
        ({"scaled": 1}, 1.0),
        ({"raw": "7", "most": 10, "scaled": 0.6}, 0.6),  # a text is no number
        ({"raw": True, "most": 10, "scaled": 0.6}, 0.6),
        ({"raw": float("nan"), "most": 10, "scaled": 0.6}, 0.6),
        ({"raw": 10**400, "most": 10, "scaled": 0.6}, 0.6),
        ({"scaled": 0.6, "success": False}, 0.6),  # a pass mark of its own, no contradiction
    ],
)
def test_which_part_of_a_score_decides(given: dict[str, object], fraction: float) -> None:
    assert score(**given) == Score(fraction)


@pytest.mark.parametrize(
    ("given", "fraction", "note"),
    [
        ({"raw": 5, "most": 1}, 1.0, "5 points of 1 counts as all."),
        ({"raw": -3, "least": 0, "most": 10}, 0.0, "-3 points, less than 0, counts as none."),
        ({"scaled": 1.2}, 1.0, "A scaled score of 1.2 counts as all."),
        ({"scaled": -0.5}, 0.0, "A scaled score of -0.5, counts as none."),
    ],
)
def test_what_lies_outside_counts_as_the_nearest_end_and_is_named(
    given: dict[str, object], fraction: float, note: str
) -> None:
    assert score(**given) == Score(fraction, notes=(note,))


def test_a_scaled_score_from_minus_one_is_half_right_at_nought() -> None:
    halves = [score_from(None, None, None, scaled, None, scaled_from=-1.0) for scaled in (-1, -0.5, 0, 1)]
    assert halves == [Score(0.0), Score(0.25), Score(0.5), Score(1.0)]
    assert score_from(5, 0, 20, 0.9, None, scaled_from=-1.0) == Score(0.25)


def test_success_alone_is_all_or_nothing_and_loses_against_a_score() -> None:
    assert score(success=True) == Score(None, success=True)
    assert score(success=False) == Score(None, success=False)
    for given, fraction in (({"raw": 0, "most": 4, "success": True}, 0.0), ({"scaled": 1, "success": False}, 1.0)):
        assert score(**given) == Score(fraction, notes=("The score counts; its success says otherwise.",))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "It has neither a score nor a success."),
        ({"success": "true"}, "It has neither a score nor a success."),
        ({"raw": 7}, "It has 7 points, but not of how many."),
        ({"raw": 0, "least": 0, "most": 0, "scaled": 0, "success": True}, "It is 0 of 0 points, which says nothing."),
        ({"raw": 5, "most": 0}, "It is 5 of 0 points, which says nothing."),
        ({"raw": 1, "least": 4, "most": 2}, "It is 1 of 2 points, which says nothing."),
    ],
)
def test_what_says_nothing_is_named(given: dict[str, object], reason: str) -> None:
    assert score(**given) == NoScore(reason)
