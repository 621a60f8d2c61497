"""From the users of a roster to people: who each of them is here, and what their profile says then."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from mastery_engine.domain.cohorts.cohort import Teacher
from mastery_engine.domain.given_ids import normal_id
from mastery_engine.domain.people.identity import Identity, identity
from mastery_engine.domain.people.profile import LONGEST_DISPLAY_NAME, MOST_IDENTITIES, Profile
from mastery_engine.doors.oneroster.roster import Ignored, RosterUser
from mastery_engine.doors.oneroster.zipped_tables import RowFault, RowList
from mastery_engine.errors import InvalidInput

USERS = "users.csv"
ONEROSTER = "oneroster"  # the system of a sourcedId
USERNAME = "oneroster:username"


class RosterPerson(msgspec.Struct, frozen=True):
    """A user with the identities that are theirs alone; that of the ``sourcedId`` comes first.

    ``shared`` are the ids, but for the ``sourcedId``, that another user of the file has too, if in another system: they
    open no class.
    """

    user: RosterUser
    name: str | None
    identities: tuple[Identity, ...]
    shared: frozenset[str] = frozenset()

    @property
    def lasting(self) -> tuple[Identity, ...]:
        """The identities by which the person is known again. A username may be given to somebody else one day."""
        return tuple(one for one in self.identities if one.system != USERNAME)

    def profile(self, before: Profile) -> Profile:
        """The profile with what the roster says; what another system linked stays."""
        kept = [one for one in before.external if one.system != USERNAME]
        external = {*kept, *self.identities}
        return Profile(self.name or before.display_name, before.language, tuple(sorted(external)))

    def teacher(self, student_id: str, known: Iterable[Identity]) -> Teacher:
        """As a teacher: known by the id here, by what the roster calls them, and by the ids that are linked to them."""
        names = {one.id for one in (*self.identities, *known)} - self.shared
        return Teacher(student_id, tuple(sorted({student_id, *names})))


def people_of(
    users: Iterable[RosterUser], ignored: RowList[Ignored], faults: RowList[RowFault]
) -> dict[str, RosterPerson]:
    """People by ``sourcedId``. An id that several users give is nobody's: whose it is cannot be told."""
    spelled: dict[str, RosterPerson] = {}
    for user in users:
        try:
            spelled[user.sourced_id] = _spelled(user)
        except InvalidInput as error:
            faults.append(RowFault(USERS, user.line, user.sourced_id, error.message))
    said = Counter(one for person in spelled.values() for one in person.identities)
    names = Counter(name for person in spelled.values() for name in {one.id for one in person.identities})
    return {name: _own(person, said, names, ignored) for name, person in spelled.items()}


def _spelled(user: RosterUser) -> RosterPerson:
    """Raises InvalidInput where an id or the name is none."""
    found = [identity(ONEROSTER, user.sourced_id, "sourcedId")]
    if user.username:
        found.append(identity(USERNAME, user.username, "username"))
    found += [identity(kind, login, "userIds") for kind, login in user.logins]
    name = normal_id(user.name, "The name", LONGEST_DISPLAY_NAME) if user.name else None
    return RosterPerson(user, name, tuple(dict.fromkeys(found))[:MOST_IDENTITIES])


def _own(
    person: RosterPerson, said: Mapping[Identity, int], names: Mapping[str, int], ignored: RowList[Ignored]
) -> RosterPerson:
    first, *others = person.identities
    own = [one for one in others if said[one] == 1 and (one.system != USERNAME or names[one.id] == 1)]
    if len(own) < len(others):
        reason = "Its username, or one of its userIds, is that of another user too: it is linked to neither."
        ignored.append(Ignored(USERS, person.user.line, person.user.sourced_id, reason))
    shared = frozenset(one.id for one in others if names[one.id] > 1) - {first.id}
    return msgspec.structs.replace(person, identities=(first, *own), shared=shared)


def holder_of(person: RosterPerson, holders: Mapping[Identity, str | None], derived: str) -> str:
    """Who a user is here: whom a profile names by their ``sourcedId``, else by another lasting id, else the derived id.

    Raises InvalidInput where their ids are those of several students.
    """
    first, *others = person.lasting
    held = holders.get(first)
    if held is not None:
        return held
    found = {student_id for one in others if (student_id := holders.get(one)) is not None}
    if len(found) > 1:
        raise InvalidInput("Its userIds are linked to several students: take all but one from them first.")
    return found.pop() if found else derived


def without_others(
    person: RosterPerson, student_id: str, holders: Mapping[Identity, str | None], ignored: RowList[Ignored]
) -> RosterPerson:
    """The user without the ids that another student has."""
    own = tuple(one for one in person.identities if holders.get(one) in (None, student_id))
    if len(own) < len(person.identities):
        reason = "Its username, or one of its userIds, is linked to another student: it stays theirs."
        ignored.append(Ignored(USERS, person.user.line, person.user.sourced_id, reason))
    return msgspec.structs.replace(person, identities=own)
