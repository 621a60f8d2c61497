"""Which items should be answered next: those that are hard enough to teach something and easy enough to succeed.

Practice pays most where success is likely and not certain, and where what the item builds on is known; what is about
to be forgotten comes first (Wilson et al. 2019, Nature Communications 10:4646, put the best share of right answers at
.85 for simple learners; tutors use .70 to .85, so that the target is the caller's).
"""

from collections.abc import Iterable

import msgspec

DUE_BONUS = 0.15  # a skill that is due may be so much further from the target than one that is not
NEAR = 0.10  # from the target
LATELY = 20  # answers: an item answered right within these is not asked again while there are others


class Prospect(msgspec.Struct, frozen=True, gc=False):
    """An item that could be answered next, and what is known of it.

    ``probability`` is that of a right answer, in [0, 1]. ``due`` names a skill of the item that is due for review,
    ``missing`` a prerequisite that is not known; ``is_mastered`` says that all its skills are, and none of them is due.
    ``gain`` is what practice of its skill brings for each minute, as advice about skills has it.
    ``right_ago`` counts the answers since this one was answered right when it was last answered; None if it was not.
    """

    item_id: str
    skill: str | None
    probability: float
    due: str | None = None
    missing: str | None = None
    is_mastered: bool = False
    gain: float = 0.0
    right_ago: int | None = None

    @property
    def is_lately_right(self) -> bool:
        """Whether the student has answered the item right a short while ago."""
        return self.right_ago is not None and self.right_ago < LATELY


def best_items(prospects: Iterable[Prospect], *, target: float, limit: int) -> list[Prospect]:
    """The items to answer next, at most ``limit``, best first.

    Items whose prerequisites are known, that have something left to learn and were not answered right lately come
    before the others. Of these come first those nearest to ``target``, a probability in (0, 1); all within ``NEAR`` of
    it are near enough, and an item of a skill that is due counts as nearer by ``DUE_BONUS``. Of items as near comes
    first that of the skill whose practice brings most, so that items and advice about skills go together. Equals are in
    the order of their ids, so that the same question has the same answer.
    """

    def rank(prospect: Prospect) -> tuple[bool, bool, bool, float, float, float, str]:
        distance = abs(prospect.probability - target)
        return (
            prospect.missing is not None,
            prospect.is_mastered,
            prospect.is_lately_right,
            max(0.0, distance - NEAR) - (DUE_BONUS if prospect.due else 0.0),
            -prospect.gain,
            distance,
            prospect.item_id,
        )

    return sorted(prospects, key=rank)[:limit]


def reason_for(prospect: Prospect, *, target: float) -> str:
    """Why an item is advised, in words, without a number that the answer shows beside it."""
    distance = prospect.probability - target
    fit = "about as wanted" if abs(distance) <= NEAR else "higher than wanted" if distance > 0 else "lower than wanted"
    sentences = [f"The chance of a right answer is {fit}."]
    if prospect.due is not None:
        sentences.insert(0, f"It is time to review {prospect.due}.")
    if prospect.missing is not None:
        sentences.append(f"It builds on {prospect.missing}, which is not known yet.")
    if prospect.is_mastered:
        sentences.append("What it exercises is mastered already.")
    if prospect.is_lately_right:
        sentences.append("It was answered right a short while ago.")
    return " ".join(sentences)
