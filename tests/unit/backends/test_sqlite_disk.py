"""What the system tells of the disk under a SQLite file, and what SQLite's errors say to people."""

import sqlite3
from pathlib import Path

import pytest

from mastery_engine.backends.sqlite import disk
from mastery_engine.backends.sqlite.database import Database, unavailable
from mastery_engine.backends.sqlite.disk import dangers_of_disk, file_system
from mastery_engine.backends.sqlite.inspection import SqliteInspection
from mastery_engine.backends.sqlite.migrations import MIGRATIONS
from mastery_engine.errors import Unavailable
from tests.support.small_disk import mounted_small_disk

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:30 / /srv rw - nfs4 server:/export rw
24 23 0:31 / /srv/local\\040disk rw - xfs /dev/sdb rw
25 22 0:32 / /run rw - tmpfs tmpfs rw
26 22 0:33 / /over rw - ext4 /dev/sdc rw
27 26 0:34 / /over rw - cifs //server/share rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("/var/lib/mastery.db", "ext4", None),
        ("/srv/mastery.db", "nfs4", "network"),
        ("/srv/local disk/mastery.db", "xfs", None),
        ("/srvice/mastery.db", "ext4", None),
        ("/run/engine/mastery.db", "tmpfs", "memory"),
        ("/over/mastery.db", "cifs", "network"),
    ],
)
def test_a_disk_that_loses_students_is_told(
    path: str, kind: str, words: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(disk, "MOUNTS", mounts)
    assert file_system(Path(path)) == kind
    told = dangers_of_disk(Path(path))
    assert [words in danger.message for danger in told if words] == ([True] if words else [])
    assert len(told) == (words is not None)


def test_where_nothing_is_known_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "MOUNTS", tmp_path / "none")
    assert dangers_of_disk(tmp_path / "mastery.db") == []


def test_a_real_disk_in_memory_is_known(tmp_path: Path) -> None:
    with mounted_small_disk(tmp_path) as mounted:
        (danger,) = dangers_of_disk(mounted / "mastery.db")
    assert "tmpfs" in danger.message


def test_a_file_that_may_only_be_read_is_told_without_sqlites_words(tmp_path: Path) -> None:
    path = tmp_path / "mastery.db"
    sqlite3.connect(path).execute("CREATE TABLE log (committed)").connection.close()
    reading = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as refused:
        reading.execute("INSERT INTO log VALUES (1)")
    said = unavailable(refused.value).message
    assert "DATA_DIR" in said
    assert "SQLITE" not in said
    reading.close()


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_an_inspection_makes_nothing_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mastery.db"
    await SqliteInspection(path).ping()
    assert names(tmp_path) == []
    database = Database(path)
    await SqliteInspection(path).ping()  # beside the process that works on it
    await database.close()
    before = path.read_bytes()
    await SqliteInspection(path).ping()
    assert path.read_bytes() == before
    assert names(tmp_path) == ["mastery.db"]


async def test_an_inspection_says_what_is_wrong_with_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mastery_engine.backends.sqlite.inspection.LOOK_S", 0.1)
    path = tmp_path / "mastery.db"
    await Database(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable, match="held by another process"):
        await SqliteInspection(path).ping()
    holder.execute("ROLLBACK")
    holder.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    holder.close()
    with pytest.raises(Unavailable, match="schema version"):
        await SqliteInspection(path).ping()
    path.write_bytes(b"not a database " * 1_000)
    with pytest.raises(Unavailable, match="backup"):
        await SqliteInspection(path).ping()
