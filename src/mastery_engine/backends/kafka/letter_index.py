"""What is known of the dead letters without their contents: read once, and from then on only what is new.

The topic is read from where this process stopped. Of a topic that holds more than ``MOST`` letters the newest are
known: who counts them says so. What a letter holds is read when somebody looks at it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from time import monotonic
from typing import TypeVar

import msgspec
from confluent_kafka import Consumer, Message, TopicPartition

from mastery_engine.backends.kafka.asker import Asker
from mastery_engine.backends.kafka.faults import ANSWER_S, is_end
from mastery_engine.backends.kafka.headers import headers_of, text_of
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topic_plans import DEAD_LETTERS_TOPIC
from mastery_engine.domain.events.event import DEFAULT_TENANT
from mastery_engine.domain.moments import Micros, moment_of
from mastery_engine.errors import Unavailable
from mastery_engine.ports.event_log import MOST_IN_PAGE

T = TypeVar("T")

MOST = 20_000
NEAR = 2_000
PER_PARTITION = 10**12
REDRIVEN = "dlq.redriven"

Place = tuple[str, int, int]


class IndexedLetter(msgspec.Struct, frozen=True, gc=False):
    """A dead letter without its content; ``place`` is where its record was."""

    letter_id: int
    place: Place
    tenant: str
    code: str
    at: Micros
    has_content: bool


class KnownLetters(msgspec.Struct):
    """Each record once, though it may have been dead-lettered again: by the least of its ids."""

    letters: dict[Place, IndexedLetter] = {}
    places: dict[int, Place] = {}
    redriven: dict[Place, Micros] = {}
    markers: dict[int, Micros] = {}  # of letters that were not met yet

    def take(self, message: Message) -> None:
        """Note a message of the topic. Raises KeyError and ValueError where it is none of ours."""
        headers = headers_of(message)
        if "dlq.offset" in headers:
            self._take_letter(letter_id_of(message), headers, has_content=message.value() is not None)
        elif REDRIVEN in headers:
            number, at = int(headers[REDRIVEN]), moment_in(headers["dlq.at"])
            if number in self.places:
                self.redriven.setdefault(self.places[number], at)
            else:
                self.markers[number] = at

    def _take_letter(self, letter_id: int, headers: Mapping[str, str], *, has_content: bool) -> None:
        place = (headers["dlq.topic"], int(headers["dlq.partition"]), int(headers["dlq.offset"]))
        tenant, code = text_of(headers.get("tenant") or DEFAULT_TENANT), headers["dlq.code"]
        letter = IndexedLetter(letter_id, place, tenant, code, moment_in(headers["dlq.at"]), has_content)
        known = self.letters.get(place)
        if known is None or letter_id < known.letter_id:
            self.letters[place] = letter
        self.places[letter_id] = place
        at = self.markers.pop(letter_id, None)
        if at is not None:
            self.redriven.setdefault(place, at)

    def find(self, letter_id: int) -> IndexedLetter | None:
        place = self.places.get(letter_id)
        letter = None if place is None else self.letters[place]
        return letter if letter is not None and letter.letter_id == letter_id else None

    def keep(self, is_kept: Callable[[IndexedLetter], bool]) -> None:
        """Forget the other letters."""
        self.letters = {place: letter for place, letter in self.letters.items() if is_kept(letter)}
        self.places = {number: place for number, place in self.places.items() if place in self.letters}
        self.redriven = {place: at for place, at in self.redriven.items() if place in self.letters}


class LetterIndex:
    """The known letters of this process, in a thread of their own. All calls raise Unavailable."""

    def __init__(self, settings: KafkaSettings, *, most: int = MOST) -> None:
        self._asker = Asker(settings, "kafka-letters")
        self._most = most
        self._forget()

    def _forget(self) -> None:
        self._known = KnownLetters()
        self._next: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._low: dict[int, int] = {}
        self._is_cut = False

    @property
    def is_whole(self) -> bool:
        """Whether all letters that the topic holds were known at the last question."""
        return not self._is_cut and all(self._first[part] <= low for part, low in self._low.items())

    async def ask(self, question: Callable[[KnownLetters], T]) -> T:
        """The answer of what is known, once what is new was read."""
        return await self._asker.ask(partial(self._ask, question))

    async def read(self, letter_ids: Iterable[int]) -> dict[int, Message]:
        """The letters themselves, without those that are gone."""
        return await self._asker.ask(partial(_fetched, sorted(set(letter_ids))))

    async def close(self) -> None:
        await self._asker.close()

    def _ask(self, question: Callable[[KnownLetters], T], client: Consumer) -> T:
        self._read_on(client)
        return question(self._known)

    def _read_on(self, client: Consumer) -> None:
        ends = self._new_ends(client)
        client.assign([TopicPartition(DEAD_LETTERS_TOPIC, part, self._next[part]) for part in ends])
        try:
            moved = monotonic()
            while ends:
                arrived = client.consume(MOST_IN_PAGE, 0.1)
                for message in arrived:
                    partition, offset = message.partition() or 0, message.offset() or 0
                    if not is_end(message):
                        self._take(message)
                        self._next[partition] = offset + 1
                    if is_end(message) or offset + 1 >= ends.get(partition, 0):
                        self._next[partition] = max(self._next[partition], ends.pop(partition, 0))
                if arrived:
                    moved = monotonic()
                elif monotonic() - moved > ANSWER_S:
                    raise Unavailable(f"Kafka is away: {DEAD_LETTERS_TOPIC} cannot be read now.")
        finally:
            client.unassign()
        self._prune()

    def _take(self, message: Message) -> None:
        try:
            self._known.take(message)
        except (KeyError, ValueError):
            return  # no dead letter of ours: whoever reads all of them logs it

    def _new_ends(self, client: Consumer) -> dict[int, int]:
        """The ends of the partitions in which something is new, and from where to read them."""
        partitions = sorted(
            client.list_topics(DEAD_LETTERS_TOPIC, timeout=ANSWER_S).topics[DEAD_LETTERS_TOPIC].partitions
        )
        marks = {
            part: client.get_watermark_offsets(TopicPartition(DEAD_LETTERS_TOPIC, part), timeout=ANSWER_S)
            for part in partitions
        }
        if any(self._next.get(part, 0) > high for part, (_, high) in marks.items()):
            self._forget()  # another topic has the name now
        share = -(-self._most // max(1, len(partitions)))
        ends = {}
        for part, (low, high) in marks.items():
            self._low[part] = low
            start = self._next[part] = max(low, self._next.get(part, high - share))
            self._first.setdefault(part, start)
            if high > start:
                ends[part] = high
        return ends

    def _prune(self) -> None:
        """Forget what aged out of the topic, and the oldest of more than are to be known."""
        known = self._known
        if any(low > self._first[part] for part, low in self._low.items()):
            known.keep(lambda letter: _offset_of(letter.letter_id) >= self._low[_partition_of(letter.letter_id)])
        if len(known.letters) > self._most:
            newest = sorted(letter.at for letter in known.letters.values())[-self._most]
            known.keep(lambda letter: letter.at >= newest)
            self._is_cut = True
        if len(known.markers) > self._most:
            known.markers = dict(list(known.markers.items())[-self._most :])


def letter_id_of(message: Message) -> int:
    return (message.partition() or 0) * PER_PARTITION + (message.offset() or 0) + 1


def moment_in(text: str) -> Micros:
    """A moment as headers hold it. Raises ValueError."""
    return moment_of(datetime.fromisoformat(text))


def _partition_of(letter_id: int) -> int:
    return (letter_id - 1) // PER_PARTITION


def _offset_of(letter_id: int) -> int:
    return (letter_id - 1) % PER_PARTITION


def _fetched(letter_ids: Sequence[int], client: Consumer) -> dict[int, Message]:
    """A reading costs a third of a second to begin and little to go on: those that lie near are read in one."""
    runs: dict[int, list[list[int]]] = {}
    for letter_id in letter_ids:  # which rise
        partition, offset = _partition_of(letter_id), _offset_of(letter_id)
        known = runs.setdefault(partition, [])
        if known and offset - known[-1][-1] <= NEAR:
            known[-1].append(offset)
        else:
            known.append([offset])
    found: dict[int, Message] = {}
    wanted = frozenset(letter_ids)
    try:
        while runs:
            found |= _read_runs({partition: known.pop(0) for partition, known in runs.items()}, wanted, client)
            runs = {partition: known for partition, known in runs.items() if known}
    finally:
        client.unassign()
    return found


def _read_runs(runs: Mapping[int, Sequence[int]], wanted: Collection[int], client: Consumer) -> dict[int, Message]:
    """The wanted letters from the first to the last offset of each partition."""
    client.assign([TopicPartition(DEAD_LETTERS_TOPIC, part, offsets[0]) for part, offsets in runs.items()])
    ends = {part: offsets[-1] for part, offsets in runs.items()}
    found: dict[int, Message] = {}
    moved = monotonic()
    while ends:
        arrived = client.consume(MOST_IN_PAGE, 0.05)
        for message in arrived:
            partition, offset = message.partition() or 0, message.offset() or 0
            if not is_end(message) and letter_id_of(message) in wanted:
                found[letter_id_of(message)] = message
            if is_end(message) or offset >= ends.get(partition, 0):
                ends.pop(partition, None)
        if arrived:
            moved = monotonic()
        elif monotonic() - moved > ANSWER_S:
            raise Unavailable(f"Kafka is away: {DEAD_LETTERS_TOPIC} cannot be read now.")
    return found
