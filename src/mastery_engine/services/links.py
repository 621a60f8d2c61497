"""Links: whose what comes under a derived id is, by the records in the consent ledger."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator

from mastery_engine.domain.consent import ConsentChange, History, erased_at
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.people.link import Link, Links, link_at, merged_links, unpack_links
from mastery_engine.domain.student import StudentKey

logger = logging.getLogger(__name__)

LATEST: Micros = 2**62  # later than any receipt


class KnownLinks:
    """The links that were read, and which of them may have evidence that has not been moved yet."""

    def __init__(self, history: Callable[[StudentKey], History]) -> None:
        """``history`` gives a student's changes of consent: an erasure ends the links to that student."""
        self._history = history
        self._links: dict[StudentKey, Links] = {}
        self._derived: dict[str, StudentKey] = {}
        self._sources: defaultdict[StudentKey, set[StudentKey]] = defaultdict(set)
        self._unfinished: dict[StudentKey, None] = {}

    def __bool__(self) -> bool:
        return bool(self._links)

    def __contains__(self, key: StudentKey) -> bool:
        return key in self._links

    def of(self, derived: StudentKey) -> Links:
        """The links of a derived id, by time."""
        return self._links.get(derived, ())

    def read(self, name: str, value: bytes, at: Micros) -> None:
        """Take a record of the ledger."""
        found = unpack_links(value, at)
        if found is None:
            self._forget(name)
            return
        derived, links = found
        if any(derived == StudentKey(derived.tenant, link.student_id) or self._leads(derived, link) for link in links):
            logger.error("a link is skipped that would lead in a circle")
            return
        self._derived[name] = derived
        self._links[derived] = merged_links(self.of(derived), links)
        for link in links:
            self._sources[StudentKey(derived.tenant, link.student_id)].add(derived)
        self._unfinished.pop(derived, None)
        self._unfinished[derived] = None

    def _leads(self, derived: StudentKey, link: Link) -> bool:
        """Whether the student of a link is one whose evidence moved to the derived id itself."""
        return StudentKey(derived.tenant, link.student_id) in self.sources(derived)

    def _forget(self, name: str) -> None:
        derived = self._derived.pop(name, None)
        if derived is not None:
            for link in self._links.pop(derived):
                self._sources[StudentKey(derived.tenant, link.student_id)].discard(derived)
            self._unfinished.pop(derived, None)

    def step(self, key: StudentKey, received: Micros) -> tuple[StudentKey, Micros] | None:
        """Whose something is that was received under a derived id at a moment, and since when: one link further.

        None where no link says, or the student was erased since.
        """
        links = self._links.get(key)
        if links is None:
            return None
        link = link_at(links, received)
        student = StudentKey(key.tenant, link.student_id)
        erased = erased_at(self._history(student))
        return None if erased is not None and link.at <= erased else (student, link.at)

    def owner(self, key: StudentKey, received: Micros = LATEST) -> StudentKey:
        """The student to whom something belongs that was received under an id: the id's own where no link says else."""
        while (further := self.step(key, received)) is not None:
            key = further[0]
        return key

    def erasures(self, key: StudentKey) -> History:
        """The erasures of the students to whom a derived id was linked before: they took what was under it, too."""
        changes: list[ConsentChange] = []
        for link in self._links.get(key, ()):
            erased = erased_at(self._history(StudentKey(key.tenant, link.student_id)))
            if erased is not None and link.at <= erased:
                changes.append(ConsentChange(erased, False, False, erased=True))
        return tuple(changes)

    def sources(self, student: StudentKey) -> set[StudentKey]:
        """The derived ids that are or were linked to a student, by one link or by several."""
        found: set[StudentKey] = set()
        more = self._sources.get(student)
        while more:
            found |= more
            more = {further for one in more for further in self._sources.get(one, ())} - found
        return found

    @property
    def is_finished(self) -> bool:
        """Whether all evidence was moved, as far as this process knows."""
        return not self._unfinished

    def unfinished(self, student: StudentKey) -> set[StudentKey]:
        """The derived ids whose evidence may be a student's and not be moved yet, as far as this process knows."""
        if student not in self._sources:
            return set()
        return {source for source in self.sources(student) if source in self._unfinished}

    def latest_unfinished(self, most: int) -> list[StudentKey]:
        """So many derived ids whose evidence may not be moved yet, the ones linked last first."""
        newest: Iterator[StudentKey] = reversed(self._unfinished)
        return [key for key, _ in zip(newest, range(most), strict=False)]

    def finish(self, derived: StudentKey) -> None:
        """All evidence under a derived id was moved: none comes under it from now on."""
        self._unfinished.pop(derived, None)

    def begin_again(self) -> None:
        """The store may have lost what was moved: look at all links again."""
        self._unfinished = dict.fromkeys(self._links)
