"""What is learned of answers from the log, run after run."""

from math import exp, log
from random import Random

import numpy as np
import pytest

from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import DAY, MINUTE, Micros
from mastery_engine.domain.skills.next_answer.head import WIDTH
from mastery_engine.domain.skills.next_answer.model import probabilities
from mastery_engine.domain.skills.next_answer.parameters import PRIOR, AnswerModel, AnswerParameters
from mastery_engine.domain.student import StudentKey
from mastery_engine.lab.skills.answer_files import AnswerGiven
from mastery_engine.lab.skills.next_answer import learning
from mastery_engine.lab.skills.next_answer.fit import followed
from mastery_engine.lab.skills.next_answer.learning import _better_head, learn_answers
from mastery_engine.worker.logged_answers import LoggedAnswer
from tests.support.samples import NOW

ITEMS = {f"i{number}": (number - 9.5) / 4 for number in range(20)}


def classroom(students: int, seed: int, at: Micros = NOW) -> list[LoggedAnswer]:
    """Each answers forty items; an item after the same item is right."""
    chance, answers = Random(seed), []
    for number in range(students):
        ability, before = chance.gauss(0.3, 0.7), ""
        for place in range(40):
            item = before if before and chance.random() < 0.3 else chance.choice(list(ITEMS))
            level = 3.0 if item == before else ability - ITEMS[item]
            answer = Answer(item, (f"s{int(item[1:]) % 3}",), chance.random() < 1 / (1 + exp(-level)))
            when, before = at + place * MINUTE, item
            answers.append(LoggedAnswer(StudentKey("school", f"{seed}-{number}"), when, when, answer))
    return answers


def loss(parameters: AnswerParameters, seed: int = 99) -> float:
    """Of students who were never seen, the mean log loss."""
    model, losses = AnswerModel(parameters), []
    histories: dict[StudentKey, list[AnswerGiven]] = {}
    for key, _, _, answer in classroom(60, seed):
        history = histories.setdefault(key, [])
        history.append(AnswerGiven(answer.item_id, answer.skills, answer.fraction, 2 * NOW + len(history) * MINUTE))
    for history in histories.values():
        found = probabilities([known for _, known in followed(model, history)], model)
        losses += [-log(p if row.right else 1 - p) for row, p in zip(history, found, strict=True)]
    return sum(losses) / len(losses)


def learned(
    answers: list[LoggedAnswer], known: AnswerParameters, since: Micros = NOW + DAY, version: str = "v"
) -> AnswerParameters:
    return learn_answers(answers, known, since, floor=0, version=version).parameters


@pytest.mark.parametrize("anew", [True, False])
def test_it_predicts_better_with_each_day(anew: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "FITTED_ANEW", 10**9 if anew else 0)
    monkeypatch.setattr(learning, "ENOUGH", 1_000)
    first = classroom(50, 1)
    then = [*first, *classroom(150, 2, NOW + DAY)]
    monday = learned(first, PRIOR.parameters)
    tuesday = learned(then, monday, NOW + 2 * DAY)
    losses = [loss(one) for one in (PRIOR.parameters, monday, tuesday)]
    assert losses == sorted(losses, reverse=True)
    assert losses[2] < 0.97 * losses[0]
    assert [revision.answers for revision in tuesday.revisions] == [2_000, 8_000]
    assert tuesday.revisions[0] == monday.revisions[0], "what counted stays"
    hardest, easiest = (tuesday.revisions[-1].items[item].difficulty for item in ("i19", "i0"))
    assert hardest > easiest + 1.0


def test_only_what_is_new_teaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "FITTED_ANEW", 0)
    answers = classroom(10, 1)
    once = learn_answers(answers, PRIOR.parameters, NOW + DAY, floor=0, version="1")
    assert once.answers == 400
    again = learn_answers(answers, once.parameters, NOW + 2 * DAY, floor=0, version="2")
    assert (again.answers, again.parameters) == (0, once.parameters)
    more = [*answers, answers[0]._replace(received=NOW + DAY, at=NOW + DAY)]
    later = learn_answers(more, once.parameters, NOW + 2 * DAY, floor=0, version="3")
    assert later.answers == 1
    assert set(later.parameters.revisions[-1].items) <= {answers[0].answer.item_id, answers[39].answer.item_id}
    with pytest.raises(ValueError, match="order of their moments"):
        learn_answers(more, once.parameters, NOW + DAY, floor=0, version="3")


def test_a_head_that_held_out_students_do_not_speak_for_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten students two are held out: of these every answer is the other way round."""
    monkeypatch.setattr(learning, "ENOUGH", 100)
    chance = np.random.default_rng(1)
    rows = [chance.normal(0.0, 0.3, (1_000, WIDTH)).astype(np.float32) for _ in range(10)]
    rights = [(row[:, 2] > chance.logistic(size=1_000) * 0.1).astype(np.float32) for row in rows]
    taken = _better_head(rows, rights, None)
    assert taken is not None
    contrary = [1.0 - right if place % 5 == 0 else right for place, right in enumerate(rights)]
    assert _better_head(rows, contrary, taken) is taken
    assert _better_head(rows[:1], [rights[0][:99]], taken) is taken, "too few answers say nothing"


def test_a_log_that_lost_what_was_learned_from_does_not_replace_it() -> None:
    known = learned(classroom(40, 1), PRIOR.parameters)
    after = learned(classroom(5, 3, NOW + DAY), known, NOW + 2 * DAY)
    assert after.revisions[-1].answers == 1_800
    assert len(after.effects.keys) >= len(known.effects.keys)
    assert after.head == known.head, "too few answers to train it further"
