"""Dead letters on Kafka: the record as it came, with why and from where in ``dlq.*`` headers; read back for people."""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from confluent_kafka import Message

from mastery_engine.backends.kafka.headers import SentHeaders, bytes_of, headers_of, stated_id, text_of
from mastery_engine.backends.kafka.letter_index import REDRIVEN, KnownLetters, LetterIndex, letter_id_of, moment_in
from mastery_engine.backends.kafka.records import messages_of, origin_of
from mastery_engine.backends.kafka.sender import Sender
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topic_plans import DEAD_LETTERS_TOPIC
from mastery_engine.backends.kafka.topics import KafkaTopics
from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.envelope import peek
from mastery_engine.domain.events.event import DEFAULT_TENANT
from mastery_engine.domain.moments import Micros, rfc3339
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import TooLarge
from mastery_engine.ports.dead_letters import DeadLetter, LetterReasons, reasons_among
from mastery_engine.ports.event_log import REQUESTS_TOPIC, Position

logger = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS_TEXT = re.compile("[0-9]{1,9}")
OURS = "dlq."
ATTEMPTS = "dlq.attempts"
SHORTENED = 64 * 1024
FEW = 250
REDRIVEN_AT_ONCE = 100  # a crash between these and their markers has them redriven again, under their ids


class KafkaDeadLetters:
    """See ``DeadLetterQueue``. Pages go by an index; only commands, exports and erasures read the whole topic."""

    def __init__(
        self, settings: KafkaSettings, topics: KafkaTopics, sender: Sender, platform_topic: str | None = None
    ) -> None:
        """Letters of records in ``platform_topic`` go back there, since its records are no events of ours."""
        self._platform_topic = platform_topic
        self._settings = settings
        self._topics = topics
        self._sender = sender
        self._index = LetterIndex(settings)

    async def close(self) -> None:
        """May be called twice."""
        await self._index.close()

    async def append(self, letters: Sequence[DeadLetter]) -> None:
        await self._topics.log_id()
        try:
            await self._send(letters)
        except TooLarge:
            for letter in letters:
                try:
                    await self._send([letter])
                except TooLarge:
                    await self._send([_shortened(letter)])

    async def _send(self, letters: Sequence[DeadLetter]) -> None:
        await self._sender.send(
            [(DEAD_LETTERS_TOPIC, letter.key, letter.value, bytes_of(_headers(letter))) for letter in letters]
        )

    async def page(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        return [letter for letter in await self._all() if letter.letter_id > after][:limit]

    async def find(self, letter_id: int) -> DeadLetter | None:
        return (await self._letters([letter_id])).get(letter_id)

    async def reasons(self, tenant: str) -> LetterReasons:
        def counted(known: KnownLetters) -> LetterReasons:
            waiting = [
                (one.code, one.at)
                for one in known.letters.values()
                if one.tenant == tenant and one.place not in known.redriven
            ]
            return LetterReasons(reasons_among(waiting), None if self._index.is_whole else len(known.letters))

        return await self._ask(counted)

    async def with_code(self, tenant: str, code: str, *, before: int | None, limit: int) -> list[DeadLetter]:
        def chosen(known: KnownLetters) -> list[int]:
            ids = [
                one.letter_id
                for one in known.letters.values()
                if (one.tenant, one.code) == (tenant, code) and (before is None or one.letter_id < before)
            ]
            return sorted(ids, reverse=True)[:limit]

        return list((await self._letters(await self._ask(chosen))).values())

    async def waiting(self, tenant: str, code: str, *, until: Micros, limit: int) -> list[DeadLetter]:
        def chosen(known: KnownLetters) -> list[int]:
            waiting = [
                (one.at, one.letter_id)
                for one in known.letters.values()
                if (one.tenant, one.code) == (tenant, code)
                and one.has_content
                and one.at <= until
                and one.place not in known.redriven
            ]
            return [letter_id for _, letter_id in sorted(waiting)[:limit]]

        return list((await self._letters(await self._ask(chosen))).values())

    async def codes_at(self, positions: Sequence[Position]) -> dict[Position, str]:
        places = {one: (REQUESTS_TOPIC, one.partition, one.offset) for one in positions}

        def codes(known: KnownLetters) -> dict[Position, str]:
            found = known.letters
            return {position: found[place].code for position, place in places.items() if place in found}

        return await self._ask(codes)

    async def redrive(self, letter_ids: Sequence[int], at: Micros) -> dict[int, Position | None]:
        wanted = list(dict.fromkeys(letter_ids))
        chosen = [one for one in (await self._letters(wanted)).values() if one.redriven is None]
        positions: dict[int, Position | None] = {}
        for start in range(0, len(chosen), REDRIVEN_AT_ONCE):
            letters = chosen[start : start + REDRIVEN_AT_ONCE]
            sent = await self._sender.send([(self._home(letter), *_redriven(letter)) for letter in letters])
            await self._sender.send([(DEAD_LETTERS_TOPIC, letter.key, None, _marker(letter, at)) for letter in letters])
            positions |= {
                letter.letter_id: position if self._home(letter) == REQUESTS_TOPIC else None
                for letter, position in zip(letters, sent, strict=True)
            }
        return positions

    async def _ask(self, question: Callable[[KnownLetters], T]) -> T:
        await self._topics.log_id()
        return await self._index.ask(question)

    async def _letters(self, letter_ids: Sequence[int]) -> dict[int, DeadLetter]:
        """These letters, in this order, without those that are not there.

        Few are read one by one. Many, and those that are older than what the index knows, by reading all.
        """

        def known(letters: KnownLetters) -> dict[int, Micros | None] | None:
            found = {number: letters.find(number) for number in letter_ids}
            if len(letter_ids) > FEW or (None in found.values() and not self._index.is_whole):
                return None
            return {number: letters.redriven.get(one.place) for number, one in found.items() if one is not None}

        redriven = await self._ask(known)
        if redriven is None:
            there = {letter.letter_id: letter for letter in await self._all()}
            return {number: there[number] for number in letter_ids if number in there}
        log_id, messages = await self._topics.log_id(), await self._index.read(redriven)
        return {number: _letter(messages[number], log_id, at) for number, at in redriven.items() if number in messages}

    def _home(self, letter: DeadLetter) -> str:
        return letter.topic if letter.topic == self._platform_topic else REQUESTS_TOPIC

    async def erase(self, key: StudentKey) -> int:
        """Records on Kafka cannot be taken out singly: ``EventLog.retained_until`` says how long they stay."""
        del key
        return 0

    async def purge(self, before: Micros) -> int:
        """Records on Kafka cannot be taken out singly: they age out by the topics' retention."""
        del before
        return 0

    async def _all(self) -> list[DeadLetter]:
        """All dead letters by ``letter_id``, those that were redriven too. Raises Unavailable."""
        return await asyncio.to_thread(_read, self._settings, await self._topics.log_id())


def _read(settings: KafkaSettings, log_id: str) -> list[DeadLetter]:
    redriven: dict[int, Micros] = {}
    letters: list[DeadLetter] = []
    for message in messages_of(settings, DEAD_LETTERS_TOPIC):
        headers = headers_of(message)
        try:
            if "dlq.offset" in headers:
                letters.append(_letter(message, log_id))
            elif REDRIVEN in headers:
                redriven[int(headers[REDRIVEN])] = moment_in(headers["dlq.at"])
        except (KeyError, ValueError):
            logger.warning("a record of %s is no dead letter of ours: it is passed over", DEAD_LETTERS_TOPIC)
    return _distinct(letters, redriven)


def _distinct(letters: Sequence[DeadLetter], redriven: Mapping[int, Micros]) -> list[DeadLetter]:
    """Each record once, though it may have been dead-lettered again; redriven where one of these was."""
    first: dict[tuple[str, int, int], DeadLetter] = {}
    for letter in sorted(letters, key=_by_id):
        place = (letter.topic, letter.partition, letter.offset)
        at = redriven.get(letter.letter_id)
        if place not in first:
            first[place] = msgspec.structs.replace(letter, redriven=at)
        elif at is not None and first[place].redriven is None:
            first[place] = msgspec.structs.replace(first[place], redriven=at)
    return sorted(first.values(), key=_by_id)


def _by_id(letter: DeadLetter) -> int:
    return letter.letter_id


def _letter(message: Message, log_id: str, redriven: Micros | None = None) -> DeadLetter:
    headers = headers_of(message)
    value, partition, offset = message.value(), headers["dlq.partition"], headers["dlq.offset"]
    document, outside = (None, None) if value is None else unwrap(value)
    peeked = peek(document)
    return DeadLetter(
        topic=headers["dlq.topic"],
        partition=int(partition),
        offset=int(offset),
        tenant=text_of(headers.get("tenant") or DEFAULT_TENANT),
        key=message.key(),
        value=value,
        headers={name: header for name, header in headers.items() if not name.startswith(OURS)},
        received=moment_in(headers["dlq.received"]) if "dlq.received" in headers else message.timestamp()[1] * 1_000,
        student_id=peeked.student_id,
        event_id=peeked.event_id or stated_id(headers) or outside or f"{origin_of(log_id)}:{partition}:{offset}",
        code=headers["dlq.code"],
        message=headers["dlq.message"],
        attempts=int(headers[ATTEMPTS]),
        at=moment_in(headers["dlq.at"]),
        redriven=redriven,
        letter_id=letter_id_of(message),
    )


def _headers(letter: DeadLetter) -> dict[str, str]:
    """The record's own headers, and ours; values are text. Names of ours that the record came with say nothing."""
    own = {name: value for name, value in letter.headers.items() if not name.startswith(OURS)}
    return own | {
        "dlq.topic": letter.topic,
        "dlq.partition": str(letter.partition),
        "dlq.offset": str(letter.offset),
        "dlq.code": letter.code,
        "dlq.message": letter.message,
        ATTEMPTS: str(letter.attempts + _attempts_before(letter.headers)),
        "dlq.at": rfc3339(letter.at),
        "dlq.received": rfc3339(letter.received),
    }


def _attempts_before(headers: Mapping[str, str]) -> int:
    """How often a record was tried before it was redriven, by its headers; 0 where these do not say."""
    text = headers.get(ATTEMPTS, "")
    return int(text) if ATTEMPTS_TEXT.fullmatch(text) else 0


def _shortened(letter: DeadLetter) -> DeadLetter:
    """A dead letter with the beginning of its value only, for a topic that takes no more."""
    return msgspec.structs.replace(
        letter,
        value=(letter.value or b"")[:SHORTENED],
        message=f"{letter.message} (Cut here: the whole is in {letter.topic}, by partition and offset.)",
    )


def _redriven(letter: DeadLetter) -> tuple[bytes | None, bytes | None, SentHeaders]:
    """The record as it was, with its id and how often it was tried."""
    headers = {"event_id": letter.event_id or ""} | letter.headers | {ATTEMPTS: str(letter.attempts)}
    return letter.key, letter.value, bytes_of(headers)


def _marker(letter: DeadLetter, at: Micros) -> SentHeaders:
    """The headers that say among the dead letters that this one was redriven."""
    return bytes_of({REDRIVEN: str(letter.letter_id), "dlq.at": rfc3339(at)})
