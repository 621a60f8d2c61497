"""What every backend promises of profiles: whose they are, who has an identity, and how they are found by name."""

import asyncio

from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.people.profile import Profile, words_of
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.people import NO_STORED_PROFILE, PeopleStore, ProfileOutcome, ProfileWrite, StoredProfile
from tests.support.samples import NOW
from tests.support.stores import ADA, BOB, EVE, clear, erase, purge, put, stores_fixture

stores = stores_fixture()

LTI = Identity("https://lms.example/{a}", "größe:\u200d🎓 'x' \\ \"")
MAIL = Identity("mailto", "ada@school.example")
ADA_THERE = StudentKey("school-1", "ada")
FULL = Profile("Ada Lovelace", "en-GB", (LTI, MAIL))


async def set_profile(people: PeopleStore, key: StudentKey, profile: Profile | None) -> ProfileOutcome:
    """Write over what is there now."""
    (before,) = await people.load([key])
    (outcome,) = await people.write([ProfileWrite(key, before, profile)])
    return outcome


async def test_a_profile_is_what_was_put(stores: Stores) -> None:
    people = stores.people
    assert await people.load([ADA, BOB]) == [NO_STORED_PROFILE] * 2
    assert await set_profile(people, ADA, FULL) is ProfileOutcome.DONE
    assert await set_profile(people, ADA_THERE, Profile("Ada")) is ProfileOutcome.DONE
    found = await people.load([BOB, ADA, ADA_THERE, ADA])
    assert found == [
        NO_STORED_PROFILE,
        StoredProfile(1, FULL),
        StoredProfile(1, Profile("Ada")),
        StoredProfile(1, FULL),
    ]
    assert await set_profile(people, ADA, Profile()) is ProfileOutcome.DONE
    assert await people.load([ADA]) == [StoredProfile(2, Profile())]


async def test_an_identity_is_one_students(stores: Stores) -> None:
    people = stores.people
    assert await set_profile(people, ADA, FULL) is ProfileOutcome.DONE
    assert await set_profile(people, BOB, Profile("Bob", external=(MAIL,))) is ProfileOutcome.TAKEN
    assert await people.load([BOB]) == [NO_STORED_PROFILE]
    assert await set_profile(people, ADA_THERE, Profile(external=(MAIL,))) is ProfileOutcome.DONE, "of another tenant"
    assert await people.holders("default", [MAIL, Identity("mailto", "eve@school.example"), LTI]) == [
        "ada",
        None,
        "ada",
    ]
    assert await set_profile(people, ADA, Profile("Ada", external=(LTI,))) is ProfileOutcome.DONE
    assert await people.holders("default", [MAIL, LTI]) == [None, "ada"]
    assert await set_profile(people, BOB, Profile("Bob", external=(MAIL,))) is ProfileOutcome.DONE
    assert await people.holders("default", [MAIL, LTI]) == ["bob", "ada"]
    assert await people.holders("school-1", [MAIL, LTI]) == ["ada", None]
    assert await set_profile(people, ADA, FULL) is ProfileOutcome.TAKEN
    assert (await people.load([ADA]))[0] == StoredProfile(2, Profile("Ada", external=(LTI,)))


async def test_who_comes_second_loses(stores: Stores) -> None:
    people = stores.people
    writes = [ProfileWrite(ADA, NO_STORED_PROFILE, Profile(f"Ada {number}")) for number in range(5)]
    outcomes = await asyncio.gather(*[people.write([write]) for write in writes])
    assert sorted(outcome.name for (outcome,) in outcomes) == ["DONE"] + ["LOST"] * 4
    late = StoredProfile(2, FULL)
    assert await people.write([ProfileWrite(ADA, late, FULL)]) == [ProfileOutcome.LOST]
    assert await people.write([ProfileWrite(ADA, NO_STORED_PROFILE, None)]) == [ProfileOutcome.LOST]


async def test_of_many_who_want_an_identity_at_once_one_has_it(stores: Stores) -> None:
    people = stores.people
    wanting = [StudentKey("default", f"s-{number}") for number in range(8)]
    tried = [people.write([ProfileWrite(key, NO_STORED_PROFILE, Profile(external=(MAIL, LTI)))]) for key in wanting]
    outcomes = [outcome for (outcome,) in await asyncio.gather(*tried)]
    assert outcomes.count(ProfileOutcome.DONE) <= 1
    while (
        ProfileOutcome.LOST in outcomes
    ):  # where nobody waits for the other, all may lose: one after the other they do not
        outcomes = [await set_profile(people, key, Profile(external=(MAIL, LTI))) for key in wanting]
    (holder,) = set(await people.holders("default", [MAIL, LTI]))
    have = [stored.profile.external for stored in await people.load(wanting)]
    assert [bool(external) for external in have] == [key.student_id == holder for key in wanting]


async def test_of_a_batch_each_is_for_itself(stores: Stores) -> None:
    people = stores.people
    await set_profile(people, ADA, FULL)
    outcomes = await people.write(
        [
            ProfileWrite(BOB, NO_STORED_PROFILE, Profile("Bob", external=(MAIL,))),
            ProfileWrite(ADA, StoredProfile(1, FULL), Profile("Ada")),
            ProfileWrite(EVE, NO_STORED_PROFILE, Profile("Eve", external=(MAIL,))),
            ProfileWrite(StudentKey("default", "dan"), NO_STORED_PROFILE, Profile("Dan", external=(MAIL, LTI))),
            ProfileWrite(ADA_THERE, NO_STORED_PROFILE, Profile("Ada", external=(MAIL, LTI))),
        ]
    )
    assert [outcome.name for outcome in outcomes] == ["TAKEN", "DONE", "DONE", "TAKEN", "DONE"]
    assert await people.holders("default", [MAIL, LTI]) == ["eve", None]
    assert await people.write([]) == []
    assert await people.load([]) == []
    assert await people.holders("default", []) == []


async def test_people_are_found_by_their_names_and_ids(stores: Stores) -> None:
    people = stores.people
    for key, name in (
        (StudentKey("default", "s-3"), "Émile Zola"),
        (StudentKey("default", "s-1"), "Ada Lovelace"),
        (StudentKey("default", "S-2"), "Adam Émile Smith"),
        (StudentKey("default", "Zola-9"), None),
        (StudentKey("school-1", "s-0"), "Ada Zola"),
    ):
        await set_profile(people, key, Profile(name))

    async def found(query: str, after: str = "", limit: int = 10) -> list[str]:
        return await people.search("default", words_of(query), after=after, limit=limit)

    assert await found("") == ["S-2", "Zola-9", "s-1", "s-3"], "by code point"
    assert await found("ada") == ["S-2", "s-1"]
    assert await found("EMILE") == ["S-2", "s-3"]
    assert await found("smi ad") == ["S-2"]
    assert await found("zola") == ["Zola-9", "s-3"]
    assert await found("s-1 love") == ["s-1"]
    assert await found("%") == await found("_") == await found("nobody") == []
    assert await found("", after="S-2", limit=2) == ["Zola-9", "s-1"]
    assert await found("", after="s", limit=1) == ["s-1"], "an id that begins with another comes after it"
    assert await found("", after="s-3") == []


async def test_a_name_that_changes_is_found_no_more(stores: Stores) -> None:
    people = stores.people
    await set_profile(people, ADA, FULL)
    await set_profile(people, ADA, Profile("Grace Hopper"))
    assert await people.search("default", ("lovelace",), after="", limit=10) == []
    assert await people.search("default", ("grace",), after="", limit=10) == ["ada"]


async def test_what_is_removed_is_gone(stores: Stores) -> None:
    people = stores.people
    await set_profile(people, ADA, FULL)
    await set_profile(people, ADA_THERE, FULL)
    assert await set_profile(people, ADA, None) is ProfileOutcome.DONE
    assert await set_profile(people, ADA, None) is ProfileOutcome.DONE
    assert await people.load([ADA, ADA_THERE]) == [NO_STORED_PROFILE, StoredProfile(1, FULL)]
    assert await people.holders("default", [MAIL, LTI]) == [None, None]
    assert await people.search("default", (), after="", limit=10) == []
    assert await set_profile(people, BOB, FULL) is ProfileOutcome.DONE


async def test_no_clearing_or_purge_takes_a_profile(stores: Stores) -> None:
    await put(stores.documents, ADA)
    await set_profile(stores.people, ADA, FULL)
    await erase(stores, BOB)
    await clear(stores)
    await purge(stores, NOW + 1)
    assert await stores.people.load([ADA]) == [StoredProfile(1, FULL)]
    assert await stores.people.holders("default", [MAIL]) == ["ada"]


async def test_thousands_in_one_call(stores: Stores) -> None:
    people = stores.people
    writes = [
        ProfileWrite(
            StudentKey("default", f"s-{number:04}"),
            NO_STORED_PROFILE,
            Profile(f"Name {number}", "en", (Identity("oneroster", f"u-{number}"),)),
        )
        for number in range(2_100)
    ]
    assert set(await people.write(writes)) == {ProfileOutcome.DONE}
    loaded = await people.load([write.key for write in writes])
    assert [stored.profile for stored in loaded] == [write.after for write in writes]
    identities = [Identity("oneroster", f"u-{number}") for number in range(2_100)]
    assert await people.holders("default", identities) == [write.key.student_id for write in writes]
    assert await people.search("default", ("name", "2099"), after="", limit=5) == ["s-2099"]
    assert len(await people.search("default", (), after="s-0099", limit=3_000)) == 2_000
