"""Which items are advised first."""

from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.advice.item_choice import LATELY, Prospect, best_items, reason_for


def ids(*prospects: Prospect, target: float = 0.75, limit: int = 20) -> list[str]:
    return [prospect.item_id for prospect in best_items(prospects, target=target, limit=limit)]


def test_the_nearest_to_the_target_comes_first() -> None:
    easy, near, hard = (Prospect(name, "loops", chance) for name, chance in (("a", 0.95), ("b", 0.74), ("c", 0.4)))
    assert ids(easy, near, hard) == ["b", "a", "c"]
    assert ids(easy, near, hard, target=0.5) == ["c", "b", "a"]
    assert ids(easy, near, hard, limit=1) == ["b"]


def test_of_items_near_enough_that_of_the_skill_whose_practice_brings_most_comes_first() -> None:
    little, much, far = (
        Prospect("little", "loops", 0.75, gain=0.01),
        Prospect("much", "files", 0.67, gain=0.02),
        Prospect("far", "lists", 0.55, gain=0.03),
    )
    assert ids(little, much, far) == ["much", "little", "far"]


def test_what_is_due_comes_first_but_not_at_any_price() -> None:
    near, due, too_hard = (
        Prospect("near", "loops", 0.75),
        Prospect("due", "files", 0.65, due="files"),
        Prospect("hard", "files", 0.2, due="files"),
    )
    assert ids(near, due, too_hard) == ["due", "near", "hard"]


def test_what_cannot_be_known_yet_and_what_went_right_lately_come_last() -> None:
    unready = Prospect("unready", "recursion", 0.75, missing="functions")
    again = Prospect("again", "loops", 0.75, right_ago=LATELY - 1)
    long_ago = Prospect("long ago", "loops", 0.6, right_ago=LATELY)
    mastered = Prospect("mastered", "lists", 0.75, is_mastered=True)
    assert ids(unready, again, mastered, long_ago) == ["long ago", "again", "mastered", "unready"]


@given(
    st.lists(
        st.builds(Prospect, st.text(min_size=1, max_size=5), st.none(), st.floats(0.0, 1.0)),
        unique_by=lambda prospect: prospect.item_id,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_they_are_given_in_decides_nothing(prospects: list[Prospect], chance: object) -> None:
    shuffled = list(prospects)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert ids(*shuffled) == ids(*prospects)


def test_the_reason_names_what_decided() -> None:
    assert reason_for(Prospect("a", "x", 0.7, due="files"), target=0.75) == (
        "It is time to review files. The chance of a right answer is about as wanted."
    )
    assert reason_for(Prospect("a", "x", 0.3), target=0.75) == "The chance of a right answer is lower than wanted."
    mastered = reason_for(Prospect("a", "x", 0.99, is_mastered=True), target=0.75)
    assert mastered.endswith("What it exercises is mastered already.")
    words = reason_for(Prospect("a", "x", 0.99, missing="functions", right_ago=1), target=0.75)
    assert words == (
        "The chance of a right answer is higher than wanted. It builds on functions, which is not known yet. "
        "It was answered right a short while ago."
    )
