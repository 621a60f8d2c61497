"""What an imported roster changed."""

import msgspec


class RosterChanges(msgspec.Struct, frozen=True):
    """How many were added, changed, taken away, and found as they are."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0


class RosterRow(msgspec.Struct, frozen=True):
    """A row that was not taken, or not wholly: its file, its line (1 is the header's), its sourcedId, and why."""

    file: str
    line: int
    sourced_id: str
    reason: str


class ImportedRoster(msgspec.Struct, frozen=True):
    """What an import changed, or would change (``dry_run``).

    ``students`` and ``teachers`` count places in classes. Of the rows that were ignored or wrong, the first 1,000 are
    listed, and all are counted.
    """

    version: str
    dry_run: bool
    users: RosterChanges
    classes: RosterChanges
    students: RosterChanges
    teachers: RosterChanges
    ignored_count: int
    wrong_count: int
    ignored: list[RosterRow]
    wrong: list[RosterRow]
