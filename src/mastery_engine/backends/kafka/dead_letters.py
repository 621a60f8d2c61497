"""Dead letters on Kafka: the record as it came, with why and from where in ``dlq.*`` headers; read back for people."""

import gc
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache, partial
from time import monotonic
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from mastery_engine.backends.kafka.faults import ANSWER_S, away, is_end, when_settled
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topic_plans import DEAD_LETTERS_TOPIC
from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.envelope import peek
from mastery_engine.domain.events.event import DEFAULT_TENANT
from mastery_engine.domain.moments import Micros, moment_of, rfc3339
from mastery_engine.errors import Unavailable
from mastery_engine.ports.event_log import DeadLetter

logger = logging.getLogger(__name__)

PER_PARTITION = 10**12
TRIED = re.compile("[0-9]{1,9}")
OURS = "dlq."
REDRIVEN = "dlq.redriven"
ATTEMPTS = "dlq.attempts"
SHORTENED = 64 * 1024
NOT_UTF8 = {"tenant": "(headers whose names are not UTF-8)"}

NO_HEADERS: dict[str, str] = {}  # shared: nobody adds to a record's headers
URL_SAFE = str.maketrans("+/", "-_")  # a topic's id is Base64, and an event's has no such letters


def headers_of(one: Message) -> dict[str, str]:
    """A record's headers as text that ``bytes_of`` turns into the same bytes again.

    Where names are not UTF-8 none can be read: then the tenant is one that is refused.
    """
    try:
        found: Any = one.headers()
        if not found:
            return NO_HEADERS
        has_nulls = len(gc.get_referents(found)) < len(found)  # the client's bug: to touch such a null is a crash
    except (UnicodeDecodeError, SystemError):
        return dict(NOT_UTF8)
    if has_nulls:
        return dict(NOT_UTF8)
    return {name: (value or b"").decode(errors="surrogateescape") for name, value in found}


def bytes_of(headers: Mapping[str, str]) -> list[tuple[str, str | bytes | None]]:
    """Headers as Kafka's client takes them."""
    return [(name, value.encode(errors="surrogateescape")) for name, value in headers.items()]


def text_of(header: str) -> str:
    """A header's value as text that can be shown and stored."""
    return header.encode(errors="surrogateescape").decode(errors="replace")


@lru_cache(maxsize=8)
def origin_of(log_id: str) -> str:
    """What the ids of events that came without one begin with."""
    return f"kafka:{log_id.translate(URL_SAFE)}"


def stated_id(headers: Mapping[str, str]) -> str:
    """The event's id as it stands in the headers; "" where it does not."""
    return text_of(headers.get("event_id") or headers.get("ce_id") or "")


def cut(letter: DeadLetter) -> DeadLetter:
    """A dead letter with the beginning of its value only, for a topic that takes no more."""
    return msgspec.structs.replace(
        letter,
        value=(letter.value or b"")[:SHORTENED],
        message=f"{letter.message} (Cut here: the whole is in {letter.topic}, by partition and offset.)",
    )


def tried(headers: Mapping[str, str]) -> int:
    """How often a record was tried before it was put back, by its headers; 0 where these do not say."""
    found = headers.get(ATTEMPTS, "")
    return int(found) if TRIED.fullmatch(found) else 0


def letter_headers(letter: DeadLetter) -> dict[str, str]:
    """The record's own headers, and ours; values are text. Names of ours that the record came with say nothing."""
    own = {name: value for name, value in letter.headers.items() if not name.startswith(OURS)}
    return own | {
        "dlq.topic": letter.topic,
        "dlq.partition": str(letter.partition),
        "dlq.offset": str(letter.offset),
        "dlq.code": letter.code,
        "dlq.message": letter.message,
        ATTEMPTS: str(letter.attempts + tried(letter.headers)),
        "dlq.at": rfc3339(letter.at),
        "dlq.received": rfc3339(letter.received),
    }


def redrive_marker(letter: DeadLetter, at: Micros) -> list[tuple[str, str | bytes | None]]:
    """What says among the dead letters that this one was put back."""
    return bytes_of({REDRIVEN: str(letter.letter_id), "dlq.at": rfc3339(at)})


class DeadLetters:
    """Reads the whole topic, which is short where things are well."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def all(self, log_id: str) -> list[DeadLetter]:
        """All dead letters by ``letter_id``, those that were redriven too. Raises Unavailable."""
        messages = records_of(self._settings, DEAD_LETTERS_TOPIC)
        redriven: dict[int, Micros] = {}
        letters: list[DeadLetter] = []
        for one in messages:
            headers = headers_of(one)
            try:
                if "dlq.offset" in headers:
                    letters.append(_letter(one, headers, log_id))
                elif REDRIVEN in headers:
                    redriven[int(headers[REDRIVEN])] = _moment(headers["dlq.at"])
            except (KeyError, ValueError):
                logger.warning("a record of %s is no dead letter of ours: it is passed over", DEAD_LETTERS_TOPIC)
        return _told_apart(letters, redriven)


def records_of(settings: KafkaSettings, topic: str) -> list[Message]:
    """Everything that a topic holds; blocks. Raises Unavailable."""
    outside = {"group.id": "mastery-engine-dlq", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(settings.client(**outside))
    try:
        return when_settled(partial(_messages, consumer, topic))
    except KafkaException as error:
        raise away(error) from error
    finally:
        consumer.close()


def _messages(consumer: Consumer, topic: str) -> list[Message]:
    known = consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions
    left = {}
    for partition in known:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_S)
        if high > low:
            left[partition] = high
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in left])
    found: list[Message] = []
    moved = monotonic()
    while left:
        messages = consumer.consume(1_000, 0.1)
        if messages:
            moved = monotonic()
        elif monotonic() - moved > ANSWER_S:
            raise Unavailable(f"Kafka is away: {topic} cannot be read now.")
        for one in messages:
            partition, offset = one.partition() or 0, one.offset() or 0
            if is_end(one):
                left.pop(partition, None)
                continue
            found.append(one)
            if offset + 1 >= left.get(partition, 0):
                left.pop(partition, None)
    return found


def _told_apart(letters: Sequence[DeadLetter], redriven: Mapping[int, Micros]) -> list[DeadLetter]:
    """Each record once, though it may have been buried again; redriven where one of these was."""
    found: dict[tuple[str, int, int], DeadLetter] = {}
    for letter in sorted(letters, key=lambda letter: letter.letter_id):
        place = (letter.topic, letter.partition, letter.offset)
        at = redriven.get(letter.letter_id)
        if place not in found:
            found[place] = msgspec.structs.replace(letter, redriven=at)
        elif at is not None and found[place].redriven is None:
            found[place] = msgspec.structs.replace(found[place], redriven=at)
    return sorted(found.values(), key=lambda letter: letter.letter_id)


def _letter(one: Message, headers: Mapping[str, str], log_id: str) -> DeadLetter:
    value, partition, offset = one.value(), headers["dlq.partition"], headers["dlq.offset"]
    document, outside = (None, None) if value is None else unwrap(value)
    student_id, event_id = peek(document)
    return DeadLetter(
        topic=headers["dlq.topic"],
        partition=int(partition),
        offset=int(offset),
        tenant=text_of(headers.get("tenant") or DEFAULT_TENANT),
        key=one.key(),
        value=value,
        headers={name: value for name, value in headers.items() if not name.startswith(OURS)},
        received=_moment(headers["dlq.received"]) if "dlq.received" in headers else one.timestamp()[1] * 1_000,
        student_id=student_id,
        event_id=event_id or stated_id(headers) or outside or f"{origin_of(log_id)}:{partition}:{offset}",
        code=headers["dlq.code"],
        message=headers["dlq.message"],
        attempts=int(headers[ATTEMPTS]),
        at=_moment(headers["dlq.at"]),
        letter_id=(one.partition() or 0) * PER_PARTITION + (one.offset() or 0) + 1,
    )


def _moment(text: str) -> Micros:
    return moment_of(datetime.fromisoformat(text))
