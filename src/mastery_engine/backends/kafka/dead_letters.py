"""Dead letters on Kafka: the record as it came, with why and from where in ``dlq.*`` headers; read back for people."""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from confluent_kafka import Message

from mastery_engine.backends.kafka.headers import SentHeaders, bytes_of, headers_of, stated_id, text_of
from mastery_engine.backends.kafka.records import messages_of, origin_of
from mastery_engine.backends.kafka.sender import Sender
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topic_plans import DEAD_LETTERS_TOPIC
from mastery_engine.backends.kafka.topics import KafkaTopics
from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.envelope import peek
from mastery_engine.domain.events.event import DEFAULT_TENANT
from mastery_engine.domain.moments import Micros, moment_of, rfc3339
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import TooLarge
from mastery_engine.ports.dead_letters import DeadLetter, LetterReason, reasons_among, with_code_among
from mastery_engine.ports.event_log import REQUESTS_TOPIC, Position

logger = logging.getLogger(__name__)

PER_PARTITION = 10**12
ATTEMPTS_TEXT = re.compile("[0-9]{1,9}")
OURS = "dlq."
REDRIVEN = "dlq.redriven"
ATTEMPTS = "dlq.attempts"
SHORTENED = 64 * 1024
REDRIVEN_AT_ONCE = 100  # a crash between these and their markers has them redriven again, under their ids


class KafkaDeadLetters:
    """See ``DeadLetterQueue``. To read it is to read the whole topic, which is short where things are well."""

    def __init__(
        self, settings: KafkaSettings, topics: KafkaTopics, sender: Sender, platform_topic: str | None = None
    ) -> None:
        """Letters of records in ``platform_topic`` go back there, since its records are no events of ours."""
        self._platform_topic = platform_topic
        self._settings = settings
        self._topics = topics
        self._sender = sender

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
        return next((letter for letter in await self._all() if letter.letter_id == letter_id), None)

    async def reasons(self, tenant: str) -> list[LetterReason]:
        return reasons_among(await self._all(), tenant)

    async def with_code(self, tenant: str, code: str, *, before: int | None, limit: int) -> list[DeadLetter]:
        return with_code_among(await self._all(), tenant, code, before=before, limit=limit)

    async def redrive(self, letter_ids: Sequence[int], at: Micros) -> dict[int, Position | None]:
        waiting = {letter.letter_id: letter for letter in await self._all() if letter.redriven is None}
        chosen = [waiting[letter_id] for letter_id in dict.fromkeys(letter_ids) if letter_id in waiting]
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
                letters.append(_letter(message, headers, log_id))
            elif REDRIVEN in headers:
                redriven[int(headers[REDRIVEN])] = _moment(headers["dlq.at"])
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


def _letter(message: Message, headers: Mapping[str, str], log_id: str) -> DeadLetter:
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
        received=_moment(headers["dlq.received"]) if "dlq.received" in headers else message.timestamp()[1] * 1_000,
        student_id=peeked.student_id,
        event_id=peeked.event_id or stated_id(headers) or outside or f"{origin_of(log_id)}:{partition}:{offset}",
        code=headers["dlq.code"],
        message=headers["dlq.message"],
        attempts=int(headers[ATTEMPTS]),
        at=_moment(headers["dlq.at"]),
        letter_id=(message.partition() or 0) * PER_PARTITION + (message.offset() or 0) + 1,
    )


def _moment(text: str) -> Micros:
    return moment_of(datetime.fromisoformat(text))


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
