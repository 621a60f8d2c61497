"""Evidence that moves to whom an identity was linked, and its erasure, on the stores of every backend."""

from dataclasses import dataclass

import pytest

from mastery_engine.backends.memory.logs import open_logs
from mastery_engine.domain.cohorts.cohort import Cohort
from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.domain.moments import DAY, MINUTE
from mastery_engine.domain.people.link import LINK
from mastery_engine.domain.people.profile import Profile, ProfileChange
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.errors import Conflict, Forbidden
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.refusals import Refusal
from tests.support.engines import ADAS, CALLER, MAIL, TestedEngine, derived
from tests.support.samples import DATA, HOUR, NOW, QUIZ, Clock, envelope
from tests.support.stores import everyone, stores_fixture

FIRST, SECOND = derived(ADAS), derived(MAIL)
ADA = StudentKey("default", "ada")
stores = stores_fixture()


@dataclass(frozen=True)
class Linked:
    """An engine, and what is in its store beside documents."""

    ours: TestedEngine
    stores: Stores

    async def members(self, cohort_id: str) -> set[str]:
        return set((await self.stores.cohorts.roster("default", cohort_id, since=0)).members)


@pytest.fixture
async def linked(stores: Stores) -> Linked:
    """Evidence in two courses under an identity's own id, some under the student's, then the link."""
    ours = TestedEngine(stores, open_logs(batch_size=4), Clock())
    await stores.cohorts.put("default", "go", 0, Cohort("Go", (FIRST, "bob"), ()))
    await stores.cohorts.put("default", "no", 0, Cohort("No", (), (FIRST,)))
    await ours.send(
        "append",
        [
            envelope("quiz", QUIZ, "e-1", student_id=FIRST, at=NOW - DAY, metadata={"cohort_id": "py"}),
            envelope(
                "completion",
                DATA["completion"],
                "e-2",
                student_id=FIRST,
                course_id="rust",
                metadata={"cohort_id": "no"},
            ),
            envelope("quality", DATA["quality"], "e-3"),
            envelope("help", DATA["help"], "e-4", student_id="bob", metadata={"cohort_id": "py"}),
        ],
    )
    await ours.work()
    await ours.link("ada", ADAS, MAIL)
    return Linked(ours, stores)


async def test_evidence_moves_with_its_cohorts_and_what_comes_later_follows(linked: Linked) -> None:
    ours = linked.ours
    await ours.check_scores(DAY)
    assert await linked.members("py") == {"ada", "bob"}
    assert await linked.members("go") == {"ada", "bob"}
    assert await linked.members("no") == set()
    roster = await linked.stores.cohorts.roster("default", "no", since=0)
    assert roster.course_id == "rust", "as the events named it first"
    ours.clock.tick(HOUR)
    await ours.send("append", [envelope("quiz", QUIZ, "e-5", student_id=SECOND)])
    await ours.send("append", [envelope("quiz", QUIZ, "e-1", at=NOW - DAY)])
    await ours.calculate(FIRST, "key", {"quality": 0.5})
    await ours.work()
    await ours.check_scores(DAY)
    await ours.check_results()
    await ours.check_status()
    ours.start()  # another process finds nothing left to do, and the purge takes what was frozen
    ours.clock.tick(DAY + MINUTE)
    await ours.purge()
    assert sorted(await everyone(linked.stores.documents)) == [
        DocumentKey("default", "ada"),
        DocumentKey("default", "ada", "rust"),
        DocumentKey("default", "bob"),
    ]
    await ours.check_scores()
    await ours.fold_again()
    await ours.check_scores()
    assert await linked.members("py") == {"ada", "bob"}


async def test_a_purge_on_the_same_day_leaves_what_was_frozen(linked: Linked) -> None:
    """A server that lost its last seconds alone may have lost where it went."""
    await linked.ours.purge()
    frozen = [key for key in await everyone(linked.stores.documents) if key.student_id == FIRST]
    assert sorted(frozen) == [DocumentKey("default", FIRST), DocumentKey("default", FIRST, "rust")]
    await linked.stores.documents.erase(ADA)
    linked.ours.start()
    await linked.ours.purge()
    assert (await linked.ours.scores(linked.ours.clock()))["ada"][1] == pytest.approx(
        QUIZ["correct_answers"] / QUIZ["total_questions"]
    )


async def test_an_erasure_leaves_nothing_under_any_id_and_the_link_is_gone(linked: Linked) -> None:
    ours, engine = linked.ours, linked.ours.engine
    await linked.stores.refusals.put([Refusal(StudentKey("default", SECOND), "e-9", "CODE", "why", NOW)])
    with pytest.raises(Conflict):
        await engine.privacy.erase(CALLER, FIRST)
    await engine.privacy.erase(CALLER, "ada")
    assert await everyone(linked.stores.documents) == [DocumentKey("default", "bob")]
    assert await linked.stores.people.holders("default", [ADAS, MAIL]) == [None, None]
    assert await linked.stores.refusals.of(StudentKey("default", SECOND)) == []
    for cohort_id in ("py", "go", "no"):
        roster = await linked.stores.cohorts.roster("default", cohort_id, since=0)
        assert not {"ada", FIRST, SECOND} & {*roster.members, *roster.cohort.out}
    records, _ = await ours.inner_logs.consents.read(0)
    newest = {record.name: record.value for record in records}
    assert len([name for name in newest if name.startswith(LINK)]) == 2
    assert not any(one.encode() in value for value in newest.values() for one in ("ada", FIRST, SECOND))
    for process in ("same", "another"):
        if process == "another":
            ours.start()
        for student_id in ("ada", FIRST, SECOND):
            with pytest.raises(Forbidden):
                await ours.engine.scores.calculate(CALLER, student_id, ComponentValues(quiz=0.5), course_id="default")
        await ours.send(
            "append", [envelope("quiz", QUIZ, f"{process}-{one}", student_id=one) for one in (FIRST, SECOND)]
        )
        await ours.fold_again()
        assert await everyone(linked.stores.documents) == [DocumentKey("default", "bob")]


async def test_who_consents_anew_can_be_linked_anew(linked: Linked) -> None:
    ours = linked.ours
    await ours.engine.privacy.erase(CALLER, "ada")
    await ours.engine.privacy.change_consent(CALLER, "ada", True, True)
    ours.clock.tick(MINUTE)
    await ours.link("ada", ADAS)
    await ours.send("append", [envelope("quiz", QUIZ, "new", student_id=FIRST, at=ours.clock())])
    await ours.work()
    assert {key.student_id for key in await everyone(linked.stores.documents)} == {"ada", "bob"}
    await ours.fold_again()
    assert {key.student_id for key in await everyone(linked.stores.documents)} == {"ada", "bob"}


async def test_a_profile_of_the_identitys_own_id_goes_with_it(stores: Stores) -> None:
    engine = TestedEngine(stores, open_logs(batch_size=4), Clock()).engine
    other = StudentKey("default", FIRST)
    await engine.people.put(CALLER, FIRST, ProfileChange("Ada", "en", (ADAS, MAIL)))
    with pytest.raises(Conflict):
        await engine.people.put(CALLER, "ada", ProfileChange(external=(MAIL,)))
    await engine.people.put(CALLER, FIRST, ProfileChange(external=(MAIL,)))
    await stores.cohorts.put("default", "py", 0, Cohort("Python", (FIRST,)))
    shown = await engine.people.put(CALLER, "ada", ProfileChange("Ada L", external=(ADAS,)))
    assert (shown.display_name, shown.language, len(shown.external)) == ("Ada L", "en", 2)
    assert (await stores.cohorts.roster("default", "py", since=0)).members == {"ada"}, "without any evidence, too"
    held, gone = await stores.people.load([ADA, other])
    assert (held.profile, gone.version) == (Profile("Ada L", "en", tuple(sorted((ADAS, MAIL)))), 0)
    with pytest.raises(Conflict):
        await engine.people.put(CALLER, FIRST, ProfileChange("Eve"))
