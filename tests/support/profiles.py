"""The shipped profiles, other people's fixtures, and what a message becomes by them."""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mastery_engine.doors.drafts import DoorName, Draft, Translation
from mastery_engine.doors.profiles.reading import profile_from
from mastery_engine.doors.translating import ProfileSet, messages_in
from mastery_engine.settings import Settings
from mastery_engine.wiring import translation_profiles

FOREIGN = Path(__file__).resolve().parents[3] / "shared" / "data" / "foreign"
needs_foreign = pytest.mark.skipif(not FOREIGN.is_dir(), reason="the shared files are not beside this repository")


@cache
def shipped() -> ProfileSet:
    return translation_profiles(Settings())


def foreign(folder: str) -> list[Path]:
    """Other people's files of a folder, by name; none where the shared files are not beside this repository."""
    return sorted((FOREIGN / folder).glob("*.json"))


def messages_of(door: DoorName, file: Path) -> list[object]:
    return messages_in(door, msgspec.json.decode(file.read_bytes()))


def became(door: DoorName, message: object) -> Translation:
    return shipped().translated(door, message)


def drafts_of(door: DoorName, file: Path) -> list[Draft]:
    return [draft for message in messages_of(door, file) for draft in became(door, message).drafts]


def by_rule(rule: str, message: dict[str, Any], door: DoorName = "xapi", *, more: str = "") -> Translation:
    """What a message becomes by a profile of one rule."""
    profile = profile_from(f"profile: own\ndoor: {door}\n{more}\nrules:\n  - {rule}\n".encode(), "own.yaml")
    return ProfileSet({door: (profile,)}).translated(door, message)
