"""From the classes and enrolments of a roster to what each changes of a cohort."""

from collections.abc import Iterable, Mapping

import msgspec

from mastery_engine.domain.cohorts.cohort import MOST_MEMBERS, Cohort, Teacher
from mastery_engine.doors.oneroster.roster import Enrolment, RosterClass
from mastery_engine.doors.oneroster.zipped_tables import RowFault, RowList


class ClassChange(msgspec.Struct, frozen=True):
    """What a roster says of one class. With ``is_all`` nobody else whom a roster or an admin put in stays, but for
    ``unsure``: rows about them could not be taken.

    ``given`` is None where the file does not describe the class. Whoever is both in and gone is in: they came again.
    ``known`` are all teachers in the file as they are named now, by the id of their profile.
    """

    given: RosterClass | None
    students: frozenset[str]
    teachers: frozenset[str]
    gone_students: frozenset[str]
    gone_teachers: frozenset[str]
    is_all: bool
    unsure: frozenset[str]
    known: Mapping[str, Teacher]

    def of(self, before: Cohort) -> Cohort:
        """The cohort after it. What events say stays, but for those whom the roster takes out."""
        if self.given is not None and self.given.is_gone:
            out = frozenset(before.out).union(before.put)
            return msgspec.structs.replace(before, put=(), out=tuple(sorted(out)), teachers=())
        kept = frozenset(before.put) - self.gone_students
        if self.is_all:
            kept &= self.unsure
        put = self.students | kept
        out = frozenset(before.out).union(before.put, self.gone_students) - put
        cohort = msgspec.structs.replace(
            before, put=tuple(sorted(put)), out=tuple(sorted(out)), teachers=self._teachers(before)
        )
        if self.given is None:
            return cohort
        return msgspec.structs.replace(cohort, name=self.given.title, course_id=self.given.course_id)

    def without(self, gone: frozenset[str]) -> "ClassChange":
        """The change, with these people gone too, but for those whom it puts in."""
        return msgspec.structs.replace(
            self,
            gone_students=self.gone_students | (gone - self.students),
            gone_teachers=self.gone_teachers | (gone - self.teachers),
        )

    def _teachers(self, before: Cohort) -> tuple[Teacher, ...]:
        listed = {name: self.known[name] for name in self.teachers}
        stay = {
            one.student_id: self.known.get(one.student_id, one)
            for one in before.teachers
            if one.student_id not in self.gone_teachers and (not self.is_all or one.student_id in self.unsure)
        }
        return tuple(sorted((stay | listed).values()))


def changes_of(
    classes: Mapping[str, RosterClass],
    enrolments: Iterable[Enrolment],
    people: Mapping[str, str],
    gone: frozenset[str],
    known: Mapping[str, Teacher],
    faults: RowList[RowFault],
    *,
    is_all: bool,
    unsure: Mapping[str, frozenset[str]],
) -> dict[str, ClassChange]:
    """By cohort what changes. ``people`` has the student_id by user, ``gone`` the users who are not at school any more.

    An enrolment of a user who is in neither is not taken. ``unsure`` has by class the students of whom rows were not.
    """
    said: dict[str, tuple[set[str], set[str], set[str], set[str]]] = {
        class_id: (set(), set(), set(), set()) for class_id in classes
    }
    for one in enrolments:
        student_id = people.get(one.user_id)
        if student_id is None:
            faults.append(RowFault("enrollments.csv", one.line, one.sourced_id, "Its user is not known here."))
            continue
        students, teachers, gone_students, gone_teachers = said.setdefault(one.class_id, (set(), set(), set(), set()))
        is_gone = one.is_gone or one.user_id in gone
        if one.role == "student":
            (gone_students if is_gone else students).add(student_id)
        else:
            (gone_teachers if is_gone else teachers).add(student_id)
    changes = {}
    for class_id, (students, teachers, gone_students, gone_teachers) in said.items():
        given = classes.get(class_id)
        if len(students) > MOST_MEMBERS:
            line = 0 if given is None else given.line
            faults.append(RowFault("classes.csv", line, class_id, f"It has more than {MOST_MEMBERS:,} students."))
            continue
        changes[class_id] = ClassChange(
            given,
            frozenset(students),
            frozenset(teachers),
            frozenset(gone_students) - students,
            frozenset(gone_teachers) - teachers,
            is_all and given is not None,
            unsure.get(class_id, frozenset()),
            known,
        )
    return changes


def nothing_of(known: Mapping[str, Teacher]) -> ClassChange:
    """What a roster that does not describe a class changes of it: how its teachers are named."""
    nobody = frozenset[str]()
    return ClassChange(None, nobody, nobody, nobody, nobody, False, nobody, known)
