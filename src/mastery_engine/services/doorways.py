"""The doors for schools: what their messages say becomes learning events of students, by the one path of all events.

What is refused is named in the log and by the event's status, too: not every platform shows or keeps our answers.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mastery_engine.auth.access import Act
from mastery_engine.auth.credentials import PlatformCaller
from mastery_engine.domain.events.envelope import peek
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.people.identity import Identity
from mastery_engine.doors.drafts import DoorName, Status, Translation
from mastery_engine.responses.doorways import DoorResult
from mastery_engine.responses.ingest import Receipt
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.idempotency import IdempotencyKey
from mastery_engine.services.ingest import Ingest
from mastery_engine.services.profiles import Profiles
from mastery_engine.telemetry.metrics import Metrics

NOBODY: Mapping[Identity, str] = MappingProxyType({})
MOST_TOLD = 3  # reasons, and ids of messages, in one line of the log

logger = logging.getLogger(__name__)


class Doorways:
    """Takes the messages of all doors for schools, each as evidence, as ignored or as refused, with the reason."""

    def __init__(
        self,
        translate: Callable[[DoorName, object, Mapping[str, Any] | None], Translation],
        people: Profiles,
        ingest: Ingest,
        access: AccessControl,
        metrics: Metrics,
    ) -> None:
        self._translate = translate
        self._people = people
        self._ingest = ingest
        self._access = access
        self._metrics = metrics

    async def take(
        self, sender: PlatformCaller, door: DoorName, messages: Sequence[object], key: IdempotencyKey | None = None
    ) -> list[DoorResult]:
        """What becomes of each message; evidence is durable on return. A repeat counts once.

        A message's event is of the course that it names, else of the sender's, else of ``default``. Raises Forbidden
        for a caller who may not record, Conflict where ``key`` was used with another body, and Unavailable.
        """
        return await self.take_translated(sender, door, [self.translated(door, one) for one in messages], key)

    def translated(self, door: DoorName, message: object, said: Mapping[str, Any] | None = None) -> Translation:
        """What a message says; ``said`` is as in ``ProfileSet.translated``. Never raises for what it holds."""
        return self._translate(door, message, said)

    async def take_translated(
        self,
        sender: PlatformCaller,
        door: DoorName,
        translations: Sequence[Translation],
        key: IdempotencyKey | None = None,
        *,
        known: Mapping[Identity, str] = NOBODY,
        received: Sequence[Micros] | None = None,
    ) -> list[DoorResult]:
        """As ``take``, for messages that were translated before; ``known`` are people of whom was asked just now.

        ``received`` are the moments at which the messages came, where that was before the call.
        """
        self._access.check_act(sender.caller, Act.RECORD, door)
        receipts = await self._receipts(sender, door, translations, key, known, received)
        of_each = iter(receipts)
        results = [result_of(one, of_each) for one in translations]
        for status, number in Counter([one.status for one in results]).items():
            self.count(door, status, number)
        events = [one.event_id for one in receipts if one.error is not None]
        _tell(sender, door, results, events)
        return results

    def count(self, door: DoorName, status: Status, number: int) -> None:
        """Count messages by what became of them; those that were refused before they were translated, too."""
        self._metrics.door_messages.labels(door, status).inc(number)

    async def students_of(
        self, tenant: str, translations: Sequence[Translation], known: Mapping[Identity, str] = NOBODY
    ) -> dict[Identity, str]:
        """Who the people of the messages are here, besides those that are ``known``. Raises Unavailable."""
        people = {draft.identity: None for one in translations for draft in one.drafts}
        asked = [person for person in people if person not in known]
        found = await self._people.students_of(tenant, asked) if asked else []
        return {**known, **dict(zip(asked, found, strict=True))}

    async def _receipts(
        self,
        sender: PlatformCaller,
        door: DoorName,
        translations: Sequence[Translation],
        key: IdempotencyKey | None,
        known: Mapping[Identity, str],
        received: Sequence[Micros] | None,
    ) -> list[Receipt]:
        """The outcome of each draft, in their order."""
        students = await self.students_of(sender.caller.tenant, translations, known)
        events = [
            draft.sent(students[draft.identity], sender.course_id) for one in translations for draft in one.drafts
        ]
        if not events:
            return []
        if received is not None:
            received = [at for at, one in zip(received, translations, strict=True) for _ in one.drafts]
        receipts = (await self._ingest.take(sender.caller, events, key, call=door, received=received)).results
        refused = [(peek(event), one.error) for event, one in zip(events, receipts, strict=True) if one.error]
        if refused:
            await self._ingest.note_refused(sender.caller, refused)
        return receipts


def result_of(translation: Translation, receipts: Iterator[Receipt]) -> DoorResult:
    """What became of a message, by what became of its drafts, which are next of ``receipts``."""
    own = [next(receipts) for _ in translation.drafts]
    if translation.status != "evidence":
        return DoorResult(translation.message_id, translation.status, translation.reason, [])
    taken = [one.event_id for one in own if one.error is None and one.event_id is not None]
    why = list(dict.fromkeys([one.error.message for one in own if one.error is not None]))
    if not taken:
        return DoorResult(translation.message_id, "refused", " ".join(why), [])
    if why:
        why.insert(0, f"{len(own) - len(taken)} of its {len(own)} events are refused:")
    return DoorResult(translation.message_id, "evidence", " ".join([*translation.notes, *why]) or None, taken)


def _tell(sender: PlatformCaller, door: DoorName, results: Sequence[DoorResult], events: Sequence[str | None]) -> None:
    """Say in the log why messages did not count, or not as they stood; ``events`` are the ids of refused events."""
    told: defaultdict[Status, list[DoorResult]] = defaultdict(list)
    for one in results:
        if one.reason is not None:
            told[one.status].append(one)
    for status, own in told.items():
        level = logging.WARNING if status == "refused" or (status == "evidence" and events) else logging.INFO
        reasons = Counter([one.reason for one in own]).most_common(MOST_TOLD)
        beside: dict[str, object] = {
            "door": door,
            "sender": sender.caller.subject,
            "messages": [one.id for one in own[:MOST_TOLD]],
        }
        if level == logging.WARNING:
            beside["events"] = list(events[:MOST_TOLD])
        why = " ".join([f"{reason} ({number})" for reason, number in reasons])
        logger.log(level, "%s of %s messages are %s: %s", len(own), len(results), status, why, extra=beside)
