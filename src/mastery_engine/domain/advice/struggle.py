"""Struggle: signs that a student is stuck on a topic, counted since the last success on it.

A spell begins with the first sign and ends with the next success; it is raised once, by the first trigger. Events
count in the order of arrival, by what was known then. A struggle is a hint for people, who decide.
"""

import re
from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from typing import Any, Literal, TypeAlias

import msgspec

from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.kinds import Answer, Completion, Execution, Help, Quiz
from mastery_engine.domain.ids import id_hash
from mastery_engine.domain.moments import Micros

Trigger: TypeAlias = Literal[
    "", "repeated_error", "failed_executions", "long_on_exercise", "low_quiz", "asked_for_help"
]
Run: TypeAlias = tuple[str | None, str | None, float]

SAME_ERROR = 3
FAILURES = 5
LONGEST_S = 600.0
MAX_SPELLS = 64
LONGEST_NAME = 100
MOST_MINUTES = FAILURES * 24 * 60  # fewer runs than failures raise it, each of at most a day

_HUNDREDTH = Decimal("0.01")
_MINUTES = re.compile(r"([0-9]+\.[0-9]) minutes(?= on )")
_APOSTROPHES = re.compile(r"[\u0027\u0060\u00b4\u02b9\u02bc\u02c8\u2018\u2019\u201b\u2032\u2035\uff07]")
_VERY = r"(?:\w+ly |so |still |just |also |now |a bit |quite )*"
_STUCK = re.compile(
    rf"\b(?:i (?:{_VERY})?(?:dont|do not|didnt|did not|cant|cannot|can not) {_VERY}understand"
    rf"|i(?: a)?m {_VERY}stuck|i {_VERY}(?:got|get|keep getting|feel) {_VERY}stuck)\b"
)


class Spell(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Signs of struggle on one topic since the last success on it.

    ``since`` is the time of the first sign, ``last`` that of the newest. ``runs`` are the failed runs (error, exercise,
    seconds) until the spell is raised, so fewer than five. ``trigger`` and ``evidence`` say what raised it.
    """

    since: Micros
    last: Micros
    runs: tuple[Run, ...] = ()
    trigger: Trigger = ""
    evidence: str = ""


Spells: TypeAlias = dict[str, Spell]

SIGNS = frozenset((Execution, Quiz, Help))
NO_SPELLS: Spells = {}  # shared, so never changed: adding a spell makes a new dictionary


def spells_after(spells: Spells, event: LearningEvent) -> tuple[Spells, str | None]:
    """The spells after an event (the same dictionary if nothing changed), and the topic whose spell it raised."""
    data: Any = event.data
    kind = type(data)
    if kind is Execution:
        topic = data.topic or data.exercise_id or ""
        if data.outcome == "error":
            return _with_sign(spells, topic, event)
        return (_without(spells, topic), None) if topic in spells else (spells, None)
    if kind is Quiz:
        topic = data.topic or ""
        if 2 * data.correct_answers < data.total_questions:
            return _with_sign(spells, topic, event)
        return (_without(spells, topic), None) if topic in spells else (spells, None)
    if kind is Help:
        return _with_sign(spells, data.topic, event) if stuck_phrase(data.message) else (spells, None)
    if spells:
        for topic in _topics_of_success(event):
            if topic in spells:
                spells = _without(spells, topic)
    return spells, None


def stuck_phrase(message: str | None) -> str | None:
    """The words of a message that say that its writer is stuck; None if there are none."""
    if not message:
        return None
    plain = " ".join(_APOSTROPHES.sub("", message.casefold()).split())
    match = _STUCK.search(plain)
    return match[0] if match else None


def merged_spells(ours: Spells, theirs: Spells) -> Spells:
    """Of each topic the spell with the later sign, and at the same time ours; at most ``MAX_SPELLS``, the newest.

    Failures are not added up: whether a success came between them is not known any more.
    """
    latest = {**ours}
    for topic, spell in theirs.items():
        if topic not in latest or latest[topic].last < spell.last:
            latest[topic] = spell
    newest = sorted(latest, key=lambda topic: (bool(latest[topic].trigger), latest[topic].last))[-MAX_SPELLS:]
    return {topic: spell for topic, spell in latest.items() if topic in newest}


def since(spells: Spells, oldest: Micros) -> Spells:
    """Without the spells whose newest sign came before ``oldest``."""
    if all(spell.last >= oldest for spell in spells.values()):
        return spells
    return {topic: spell for topic, spell in spells.items() if spell.last >= oldest}


def open_spells(spells: Spells, oldest: Micros) -> Iterator[tuple[str, Spell]]:
    """The spells that were raised and have not ended, with a sign since ``oldest``, the newest first."""
    raised = [(topic, _shown(spell)) for topic, spell in spells.items() if spell.trigger and spell.last >= oldest]
    return iter(sorted(raised, key=lambda item: (-item[1].since, item[0])))


def open_topics(spells: Spells, oldest: Micros) -> frozenset[str]:
    """The topics of ``open_spells``."""
    return frozenset([topic for topic, spell in spells.items() if spell.trigger and spell.last >= oldest])


def _shown(spell: Spell) -> Spell:
    """The spell as it is shown: its evidence may hold milliseconds that an earlier engine took for seconds."""
    stated = _MINUTES.match(spell.evidence) if spell.trigger == "long_on_exercise" else None
    if stated is None or float(stated[1]) <= MOST_MINUTES:
        return spell
    return msgspec.structs.replace(
        spell, evidence=f"more than {LONGEST_S / 60:.0f} minutes{spell.evidence[stated.end() :]}"
    )


def _topics_of_success(event: LearningEvent) -> tuple[str, ...]:
    """The topics on which the event is a success: a right answer, or a topic with all exercises done."""
    data: Any = event.data
    kind = type(data)
    if kind is Answer:
        return data.skills if data.is_right else ()
    if kind is Completion and data.completed_exercises == data.total_exercises:
        return (data.topic or "",)
    return ()


def _without(spells: Spells, topic: str) -> Spells:
    return {name: spell for name, spell in spells.items() if name != topic}


def _with_sign(spells: Spells, topic: str, event: LearningEvent) -> tuple[Spells, str | None]:
    at, data = event.at, event.data
    known = spells.get(topic)
    first, last, runs = (at, at, ()) if known is None else (min(known.since, at), max(known.last, at), known.runs)
    if known is not None and known.trigger:
        return {**spells, topic: Spell(known.since, last, (), known.trigger, known.evidence)}, None
    if isinstance(data, Execution):
        runs = (*runs, (_name(data.error_type), _name(data.exercise_id), data.duration or 0.0))
    trigger, evidence = _trigger(runs, data)
    after = {**spells, topic: Spell(first, last, () if trigger else runs, trigger, evidence)}
    if len(after) > MAX_SPELLS:
        del after[min(after, key=lambda name: (name == topic, bool(after[name].trigger), after[name].last))]
    return after, topic if trigger else None


def _trigger(runs: tuple[Run, ...], data: object) -> tuple[Trigger, str]:
    """The trigger that the newest sign raises, with its evidence; empty texts if it raises none."""
    match data:
        case Quiz():
            return "low_quiz", f"{_counted(data.correct_answers)} of {data.total_questions} right in a quiz"
        case Help():
            return "asked_for_help", f'a help message that says "{stuck_phrase(data.message)}"'
    error, exercise, _ = runs[-1]
    same = 0 if error is None else sum(run[0] == error for run in runs)
    if same >= SAME_ERROR:
        return "repeated_error", f"{error} {same} times since the last success"
    if len(runs) >= FAILURES:
        return "failed_executions", f"{len(runs)} failed runs since the last success"
    seconds = round(sum(run[2] for run in runs if run[1] == exercise), 6)
    if seconds > LONGEST_S:
        on = "one exercise" if exercise is None else exercise
        return "long_on_exercise", f"{seconds / 60:.1f} minutes on {on} without success"
    return "", ""


def _counted(part: float) -> str:
    """A number of right answers, which partial credit makes a fraction, with two decimals at most, rounded down."""
    if isinstance(part, int):
        return str(part)
    cut = Decimal(repr(part)).quantize(_HUNDREDTH, ROUND_DOWN)
    return f"{cut:f}".rstrip("0").rstrip(".")


def _name(text: str | None) -> str | None:
    """A name of at most ``LONGEST_NAME`` characters; a longer text is cut and ends with its hash."""
    if text is None or len(text) <= LONGEST_NAME:
        return text
    return f"{text[:80]}… {id_hash(text).hex()}"
