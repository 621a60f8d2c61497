"""A profile at work: which of its rules is for a message, and the events that the rule makes of it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import msgspec

from mastery_engine.domain.events.kinds import KINDS
from mastery_engine.domain.faults import malformed
from mastery_engine.domain.given_ids import LONGEST_NAME, normal_id
from mastery_engine.domain.ids import derived_id
from mastery_engine.doors.door import Door
from mastery_engine.doors.drafts import Draft, Translation
from mastery_engine.doors.profiles.fields import MAKERS, fitted
from mastery_engine.doors.profiles.paths import Condition, Path, Source, text_of, value_at
from mastery_engine.doors.profiles.scores import NoScore, Score, number_from, score_from
from mastery_engine.errors import InvalidInput

ScoreKey: TypeAlias = Literal["raw", "min", "max", "scaled", "success"]

SCORED = frozenset(("quiz", "answer"))
DONE = "done"  # how much of a completion is done: true, or a share in [0, 1]
NOTHING_THERE = "It has nothing of which an event could be made."
DEFAULT_DIFFICULTY = "intermediate"
# An event of which only the day counts: a consistency that marks it as active.
ACTIVE_THEN: Mapping[str, Any] = {"days_since_last_activity": 0}

_encode = msgspec.json.Encoder(order="sorted").encode


class ScorePlaces(msgspec.Struct, frozen=True):
    """Where the parts of a score stand; ``scaled_from`` is what ``scaled`` begins at, 0 or −1."""

    raw: Source
    least: Source
    most: Source
    scaled: Source
    success: Source
    scaled_from: float = 0.0

    def score(self, message: Any) -> Score | NoScore:
        return score_from(
            self.raw(message),
            self.least(message),
            self.most(message),
            self.scaled(message),
            self.success(message),
            scaled_from=self.scaled_from,
        )


class EventRule(msgspec.Struct, frozen=True):
    """How one kind of event is made; ``each`` is where the entries stand of which each makes one."""

    event_type: str
    fields: tuple[tuple[str, Source], ...]
    score: ScorePlaces
    each: Path | None = None


class Rule(msgspec.Struct, frozen=True):
    """For which messages a rule is, and what it makes of them: events, or nothing for a reason."""

    name: str
    conditions: tuple[Condition, ...]
    kinds: frozenset[str] | None  # the messages' own kinds (verb, type, name); None for any
    events: tuple[EventRule, ...] = ()
    ignore: str | None = None
    learner: Source | None = None


class TranslationProfile(msgspec.Struct, frozen=True):
    """A compiled profile; ``rules`` has those for each kind of message, in their order, ``other_rules`` the rest's.

    With ``ids_as`` the ids of its events follow from what the events say, so that the same one through another door is
    the same event; else from the message's own id.
    """

    name: str
    door: Door
    title: str
    origin: str
    recognised: tuple[Condition, ...]
    learner: Source
    course: Source
    ids_as: str | None
    rules: Mapping[str, tuple[Rule, ...]]
    other_rules: tuple[Rule, ...]
    size: int

    def recognises(self, message: Any) -> bool:
        """Whether the profile is for a message; one that says nothing of it is for all."""
        for condition in self.recognised:
            if condition(message):
                return True
        return not self.recognised

    def translation(self, message: dict[str, Any], said: Mapping[str, Any] | None = None) -> Translation:
        """What a message becomes by this profile; ``said`` is as in ``ProfileSet.translated``.

        Raises InvalidInput where the message is malformed.
        """
        door = self.door
        message_id = text_of(value_at(message, door.message_id))
        kind = value_at(message, door.kind)
        if not isinstance(kind, str):
            raise InvalidInput(f"{door.kind_is} is missing: {'.'.join(door.kind)} must be a text.")
        rule = self._rule_for(kind, message)
        if rule is None:
            reason = f"The profile {self.name} has no rule for {door.kind_is} {kind[:LONGEST_NAME]!r}."
            return Translation("ignored", message_id, reason, profile=self.name)
        if rule.ignore is not None:
            reason = f"{kind[:LONGEST_NAME]}: {rule.ignore}"
            return Translation("ignored", message_id, reason, profile=self.name, rule=rule.name)
        made, reasons, notes = self._events(rule, message)
        if not made:
            reason = " ".join(reasons) or NOTHING_THERE
            return Translation("ignored", message_id, reason, (), notes, self.name, rule.name)
        person = door.identity((rule.learner or self.learner)(message))
        if person is None:
            reason = "It names no person by an id: it is about nobody, or about a group."
            return Translation("ignored", message_id, reason, profile=self.name, rule=rule.name)
        timestamp = time_from(value_at(message, door.timestamp))
        named = fitted(text_of(self.course(message)) or "", LONGEST_NAME)
        course = normal_id(named, "course_id") if named else None
        stem = door.event_id(said or message, message_id) if self.ids_as is None or timestamp is None else None
        drafts = tuple(
            [
                Draft(
                    person,
                    event_type,
                    self._event_id(stem, place, event_type, data, course, timestamp),
                    data,
                    timestamp,
                    course,
                    f"{door.name}/{self.name}",
                )
                for place, (event_type, data) in enumerate(made)
            ]
        )
        return Translation("evidence", message_id, None, drafts, notes, self.name, rule.name)

    def _rule_for(self, kind: str, message: Any) -> Rule | None:
        for rule in self.rules.get(kind, self.other_rules):
            for condition in rule.conditions:
                if not condition(message):
                    break
            else:
                return rule
        return None

    def _events(
        self, rule: Rule, message: dict[str, Any]
    ) -> tuple[list[tuple[str, dict[str, Any]]], list[str], tuple[str, ...]]:
        """The type and data of each event, why others could not be made, and what was not taken as it stood."""
        made: list[tuple[str, dict[str, Any]]] = []
        reasons: dict[str, None] = {}
        notes: dict[str, None] = {}
        for event in rule.events:
            for view in _views(event.each, message):
                data = _data(event, view, notes)
                if isinstance(data, NoScore):
                    reasons[data.reason] = None
                else:
                    made.append((event.event_type, data))
        return made, list(reasons), (*notes, *(reasons if made else ()))

    def _event_id(
        self,
        stem: str | None,
        place: int,
        event_type: str,
        data: dict[str, Any],
        course: str | None,
        timestamp: datetime | None,
    ) -> str:
        """The id of one event of a message, the same for every repeat."""
        if stem is not None or timestamp is None:
            return f"{stem}.{place}" if place else f"{stem}"
        at = timestamp.isoformat(timespec="milliseconds")
        return f"{self.ids_as}:{derived_id(event_type, course or '', _encode(data).decode(), at)}"


def _views(each: Path | None, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The message, once for each entry at ``each``, which it then has as ``each``, with its key where it has one."""
    if each is None:
        yield message
        return
    entries = value_at(message, each)
    if isinstance(entries, dict):
        yield from (
            {**message, "each": {**entry, "key": key}} for key, entry in entries.items() if isinstance(entry, dict)
        )
    elif isinstance(entries, list):
        yield from ({**message, "each": entry} for entry in entries if isinstance(entry, dict))


def _data(event: EventRule, message: dict[str, Any], notes: dict[str, None]) -> dict[str, Any] | NoScore:
    """The data of one event, or why it cannot be made. Raises InvalidInput where an id is malformed."""
    data: dict[str, Any] = {}
    done: Any = True
    for name, source in event.fields:
        value = source(message)
        if name == DONE:
            done = value
        elif value is not None:
            value, note = MAKERS[name](value)
            if value is not None:
                data[name] = value
            if note is not None:
                notes[note] = None
    kind = event.event_type
    if kind in SCORED:
        missing = _score_into(data, kind, event.score.score(message), notes)
    elif kind == "completion":
        missing = _completion_into(data, done)
    else:
        missing = None
        if kind == "consistency" and not data:
            data.update(ACTIVE_THEN)
    if missing is not None:
        return missing
    return _checked(kind, data)


def _score_into(data: dict[str, Any], kind: str, score: Score | NoScore, notes: dict[str, None]) -> NoScore | None:
    if isinstance(score, NoScore):
        return score
    notes.update(dict.fromkeys(score.notes))
    share = float(score.success or False) if score.fraction is None else score.fraction
    if kind == "quiz":
        questions = data.setdefault("total_questions", 1)
        data["correct_answers"] = share * questions
    elif score.fraction is None:
        data["correct"] = score.success
    else:
        data["score"] = share
    return None


def _completion_into(data: dict[str, Any], done: Any) -> NoScore | None:
    share = float(done) if isinstance(done, bool) else number_from(done)
    if share is None:
        return NoScore("It does not say how much is done.")
    total = data.setdefault("total_exercises", 1)
    data.setdefault("completed_exercises", int(min(max(share, 0.0), 1.0) * total))
    data.setdefault("difficulty", DEFAULT_DIFFICULTY)
    return None


def _checked(kind: str, data: dict[str, Any]) -> dict[str, Any] | NoScore:
    """The data itself, if an event may have it. Raises InvalidInput, which names the field, where its text is wrong."""
    try:
        msgspec.convert(data, KINDS[kind])
    except msgspec.ValidationError as error:
        fault = malformed(error, within="data", kind=KINDS[kind])
        if "is required" in fault.message:
            return NoScore(f"It lacks what a learning event of kind {kind} needs: {fault.field} is not given.")
        raise fault from error
    return data


def time_from(value: Any) -> datetime | None:
    """A time of RFC 3339 in UTC, of which one without an offset is. None where there is none. Raises InvalidInput."""
    if value is None:
        return None
    try:
        when = datetime.fromisoformat(value)
        return when.astimezone(UTC) if when.tzinfo is not None else when.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(f"{str(value)[:LONGEST_NAME]!r} is no time such as 2026-01-14T10:30:00Z.") from None


def kinds_of(profiles: Sequence[Rule]) -> dict[str, tuple[Rule, ...]]:
    """The rules for each kind of message that any rule names, in their order."""
    named = {kind for rule in profiles if rule.kinds is not None for kind in rule.kinds}
    return {
        kind: tuple([rule for rule in profiles if rule.kinds is None or kind in rule.kinds]) for kind in sorted(named)
    }
