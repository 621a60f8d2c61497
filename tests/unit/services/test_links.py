"""Whose what came under a derived id is: chains of links, erasures between them, and circles."""

from collections.abc import Mapping

import pytest

from mastery_engine.backends.memory.consent_ledger import MemoryConsentLedger
from mastery_engine.domain.moments import MINUTE
from mastery_engine.domain.people.link import LINK, pack_links
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.services.consents import Consents
from mastery_engine.services.links import LATEST, KnownLinks
from tests.support.samples import NOW, Clock, event, logged

ADA, BOB, FIRST, SECOND = (StudentKey("default", name) for name in ("ada", "bob", "x-first", "x-second"))


class Known:
    """What a process knows of a ledger, and another process that reads the same one from its beginning."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.ledger = MemoryConsentLedger()
        self.ours = Consents(self.ledger, self.clock, b"k", default=True)

    async def later(self) -> int:
        """A minute later."""
        self.clock.tick(MINUTE)
        return self.clock()

    async def another(self) -> Consents:
        other = Consents(self.ledger, self.clock, b"k", default=True)
        await other.refresh()
        return other

    async def link(self, students: Mapping[StudentKey, StudentKey]) -> None:
        await self.ours.link(students)

    async def counted(self, key: StudentKey, *received: int) -> list[tuple[str, list[bool]]]:
        """By owner, whether events that were received under an id at these moments count; as every process says."""
        answers = []
        for consents in (self.ours, await self.another()):
            await consents.refresh()
            events = logged(
                [
                    event("help", {"topic": "t"}, f"e{at}", student_id=key.student_id, at=at, received=at)
                    for at in received
                ]
            )
            owned = consents.by_owner({DocumentKey(*key): events})
            kept = consents.filter_by_consent(owned)
            answers.append(
                [
                    (owner.student_id, [one.event.event_id in {k.event.event_id for k in kept[owner]} for one in own])
                    for owner, own in sorted(owned.items())
                ]
            )
            assert all(one.event.student_id == owner.student_id for owner, own in kept.items() for one in own)
            assert consents.misplaced(owned) == set()
        assert answers[0] == answers[1]
        return answers[0]


@pytest.fixture
def known() -> Known:
    return Known()


async def test_links_are_followed_to_their_end(known: Known) -> None:
    await known.link({SECOND: FIRST})
    linked = await known.later()
    await known.link({FIRST: ADA})
    links = known.ours.links
    assert links.owner(SECOND) == links.owner(SECOND, 0) == ADA
    assert links.sources(ADA) == {FIRST, SECOND}
    assert links.unfinished(ADA) == {FIRST, SECOND}
    assert await known.counted(SECOND, NOW - 1, linked + MINUTE) == [("ada", [True, True])]
    links.finish(SECOND)
    assert (links.unfinished(ADA), links.latest_unfinished(9)) == ({FIRST}, [FIRST])
    links.begin_again()
    assert links.latest_unfinished(1) == [FIRST]


async def test_what_was_refused_under_the_own_id_stays_so_and_later_the_student_decides(known: Known) -> None:
    withdrew = await known.later()
    await known.ours.change(FIRST, False, None)
    await known.later()
    await known.ours.change(FIRST, True, None)
    linked = await known.later()
    await known.link({FIRST: ADA})
    late = await known.later()
    await known.ours.change(ADA, False, None)
    after = await known.later()
    moments = (NOW, withdrew + 1, linked - 1, linked + 1, late - 1, after)
    assert await known.counted(FIRST, *moments) == [("ada", [True, False, True, True, True, False])]


async def test_an_erasure_takes_what_came_before_it_under_every_id_and_ends_the_links(known: Known) -> None:
    await known.link({SECOND: FIRST})
    await known.later()
    await known.link({FIRST: ADA})
    erased = await known.later()
    await known.ours.erase(ADA)
    for _ in range(2):  # at once, and when the links are forgotten
        after = await known.later()
        assert await known.counted(FIRST, NOW, erased - 1, after) == [("x-first", [False, False, False])]
        (of_second,) = await known.counted(SECOND, NOW, erased - 1, after)
        assert of_second[1] == [False, False, False]
        assert not known.ours.links.step(FIRST, LATEST)
        await known.ours.unlink(ADA)
    assert known.ours.links.sources(ADA) == set()
    records, _ = await known.ledger.read(0)
    newest = {record.name: record.value for record in records if record.name.startswith(LINK)}
    assert [b"ada" in value for value in newest.values()] == [False, False]
    await known.ours.change(ADA, True, True)
    await known.link({FIRST: ADA})
    anew = await known.later()
    assert await known.counted(FIRST, NOW, after, anew) == [("ada", [False, False, True])]


async def test_an_erasure_of_an_earlier_student_leaves_what_came_for_a_later_one(known: Known) -> None:
    await known.link({FIRST: ADA})
    moved = await known.later()
    await known.link({FIRST: BOB})
    erased = await known.later()
    await known.ours.erase(ADA)
    await known.ours.unlink(ADA)
    after = await known.later()
    owned = dict(await known.counted(FIRST, moved - 1, moved + 1, erased + 1, after))
    assert owned["bob"][-3:] == [True, True, True]
    assert sum(owned["bob"]) == 3, "what was received before the later link is erased"


async def test_a_link_that_leads_in_a_circle_is_none(known: Known) -> None:
    links = KnownLinks(lambda _: ())
    for derived, to in ((FIRST, SECOND), (SECOND, FIRST), (FIRST, FIRST)):
        links.read(f"link:{derived}", pack_links(derived, (), to.student_id), NOW)
    assert links.owner(FIRST) == links.owner(SECOND) == SECOND
    assert (FIRST in links, SECOND in links) == (True, False)


async def test_two_processes_that_link_at_once_lose_neither(known: Known) -> None:
    other = await known.another()
    await known.link({FIRST: ADA})
    put = known.ledger.put_all

    async def late(values: Mapping[str, bytes], at: int) -> None:
        known.ledger.put_all = put  # type: ignore[method-assign]
        other._next = 0
        await known.ours.link({FIRST: BOB})
        await put(values, at)

    known.clock.tick(MINUTE)
    known.ledger.put_all = late  # type: ignore[method-assign]
    await other.link({FIRST: BOB, SECOND: ADA})
    records, _ = await known.ledger.read(0)
    compacted = Consents(MemoryConsentLedger(), known.clock, b"k", default=True)
    for record in {record.name: record for record in records}.values():
        await compacted._ledger.put_all({record.name: record.value}, record.at)
    await compacted.refresh()
    assert {link.student_id for link in compacted.links.of(FIRST)} == {"ada", "bob"}
    assert compacted.links.owner(SECOND) == ADA


async def test_a_link_that_is_recorded_already_is_not_recorded_again(known: Known) -> None:
    await known.link({FIRST: ADA})
    before = await known.ledger.read(0)
    await known.link({FIRST: ADA})
    assert await known.ledger.read(0) == before
    assert await known.ours.student_now("default", "bob", NOW) == "bob"
    assert await known.ours.student_now("default", "x-first", NOW) == "ada"
