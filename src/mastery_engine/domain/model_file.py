"""Files of parameters: MessagePack or JSON, a part for each of the engine's models."""

from typing import Annotated

import msgspec
from msgspec import Meta

from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.errors import InvalidInput

VERSION = 1


class SkillsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of parameters, as far as skills are concerned."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    skills: SkillModel | None = None
    forecast: msgspec.Raw = msgspec.Raw()


def skills_from(source: bytes) -> SkillModel | None:
    """The skills' part of a file of parameters; None where it has none. Raises InvalidInput."""
    try:
        return (_json if _is_json(source) else _msgpack)(source).skills
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"The parameters of skills cannot be read: {error}. Fit them anew.") from error


def with_skills(source: bytes | None, model: SkillModel) -> bytes:
    """A file of parameters with this part in it; the format and other parts of ``source`` stay. Raises InvalidInput."""
    in_json = bool(source) and _is_json(source or b"")
    try:
        decode = msgspec.json.decode if in_json else msgspec.msgpack.decode
        parts: dict[str, object] = decode(source, type=dict[str, object]) if source else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"The file to write is no file of parameters: {error}. Name another one.") from error
    parts |= {"version": VERSION, "skills": model}
    return msgspec.json.encode(parts) if in_json else msgspec.msgpack.encode(parts)


_json = msgspec.json.Decoder(SkillsFile).decode
_msgpack = msgspec.msgpack.Decoder(SkillsFile).decode


def _is_json(source: bytes) -> bool:
    return source.lstrip()[:1] == b"{"
