"""Translation: a message of a platform becomes learning events, by the first profile that recognises it.

Pure, and for whatever comes: no message raises, each has a ``Translation`` that says what it is and why.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from mastery_engine.domain.json_text import HALF_CHARACTER
from mastery_engine.doors.drafts import DOOR_NAMES, DoorName, Translation
from mastery_engine.doors.profiles.paths import text_of, value_at
from mastery_engine.doors.profiles.profile import TranslationProfile
from mastery_engine.doors.profiles.reading import DOORS
from mastery_engine.errors import InvalidInput

NOT_AN_OBJECT = "A message is a JSON object."
_OF_OPENEDX = frozenset(("name", "event_type", "tracking_log"))
TOO_LARGE = "A number in the message is too large."
TOO_DEEP = "The message is nested too deeply."


class ProfileSet(msgspec.Struct, frozen=True):
    """The profiles of an installation, for each door in the order in which they are asked."""

    profiles: Mapping[str, tuple[TranslationProfile, ...]]

    def translated(self, door: DoorName, message: object, said: Mapping[str, Any] | None = None) -> Translation:
        """What a message becomes. Never raises for what a message holds.

        ``said`` is the message with its parts as JSON whose names are in order, if it was written so already.
        """
        if not isinstance(message, dict):
            return Translation("refused", reason=NOT_AN_OBJECT)
        try:
            return self._translated(door, message, said)
        except InvalidInput as error:
            return Translation("refused", _id_of(door, message), error.message)
        except RecursionError:
            return Translation("refused", _id_of(door, message), TOO_DEEP)
        except UnicodeEncodeError:
            return Translation("refused", reason=HALF_CHARACTER)
        except (ValueError, OverflowError):  # of whole numbers that no JSON of ours can hold
            return Translation("refused", reason=TOO_LARGE)

    def _translated(self, door: DoorName, message: dict[str, Any], said: Mapping[str, Any] | None) -> Translation:
        prepared = DOORS[door].prepared(message)
        for profile in self.profiles[door]:
            if profile.recognises(prepared):
                return profile.translation(prepared, said)
        return Translation("ignored", _id_of(door, message), f"No profile of the door {door} is for it.")

    @property
    def all_profiles(self) -> tuple[TranslationProfile, ...]:
        """The profiles of all doors, in their order."""
        return tuple([profile for door in DOOR_NAMES for profile in self.profiles[door]])


def profiles_of(own: Sequence[TranslationProfile], shipped: Iterable[TranslationProfile]) -> ProfileSet:
    """A school's own profiles before those that are shipped; one takes the place of a shipped one of its name.

    Of each the ones that recognise everything come last. Raises InvalidInput where two have the same name.
    """
    names: dict[tuple[str, str], str] = {}
    for profile in own:
        key = (profile.door.name, profile.name)
        if key in names:
            raise InvalidInput(f"{profile.origin}: {names[key]} is called {profile.name} too: give each its own name.")
        names[key] = profile.origin
    rest = [profile for profile in shipped if (profile.door.name, profile.name) not in names]
    asked = sorted([*own, *rest], key=lambda profile: not profile.recognised)
    return ProfileSet({door: tuple([one for one in asked if one.door.name == door]) for door in DOOR_NAMES})


def messages_in(door: DoorName, document: object) -> list[object]:
    """The messages in a decoded body or file: a list has one in each entry, a Caliper envelope its data."""
    documents = document if isinstance(document, list) else [document]
    if door != "caliper":
        return documents
    return [
        message
        for one in documents
        for message in (one["data"] if isinstance(one, dict) and isinstance(one.get("data"), list) else [one])
    ]


def door_of(message: object) -> DoorName | None:
    """The door that a message is for, by what only its kind has; None where nothing tells."""
    if not isinstance(message, dict):
        return None
    if "verb" in message:
        return "xapi"
    if isinstance(message.get("metadata"), dict) and "event_name" in message["metadata"]:
        return "canvas"
    if "sensor" in message or "@context" in message or "eventTime" in message:
        return "caliper"
    return "openedx" if message.keys() & _OF_OPENEDX else None


def _id_of(door: DoorName, message: object) -> str | None:
    return text_of(value_at(message, DOORS[door].message_id))
