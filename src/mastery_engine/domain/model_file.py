"""Files of model parameters: MessagePack or JSON, with a part for each of the engine's models."""

from typing import Annotated

import msgspec
from msgspec import Meta

from mastery_engine.domain.faults import malformed
from mastery_engine.domain.json_text import without_mark
from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.errors import InvalidInput

VERSION = 1


class SkillsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of model parameters, as the skill model reads it."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    skills: SkillModel | None = None
    forecast: msgspec.Raw = msgspec.Raw()


def skills_from(source: bytes) -> SkillModel | None:
    """The skill model in a file of parameters; None if the file has none. Raises InvalidInput."""
    source = without_mark(source)
    try:
        return (_json if _is_json(source) else _msgpack)(source).skills
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            f"The parameters of the skill model cannot be read. {unreadable(source, error)} "
            "Fit them again with mastery-engine fit skills."
        ) from error


def with_skills(source: bytes | None, model: SkillModel) -> bytes:
    """The file with this skill model in it; the format and the other parts of ``source`` stay. Raises InvalidInput."""
    source = without_mark(source or b"")
    in_json = _is_json(source)
    try:
        decode = msgspec.json.decode if in_json else msgspec.msgpack.decode
        parts: dict[str, object] = decode(source, type=dict[str, object]) if source else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            f"The output file exists and is not a file of model parameters. {unreadable(source, error)} "
            "Name another file."
        ) from error
    parts |= {"version": VERSION, "skills": model}
    return msgspec.json.encode(parts) if in_json else msgspec.msgpack.encode(parts)


_json = msgspec.json.Decoder(SkillsFile).decode
_msgpack = msgspec.msgpack.Decoder(SkillsFile).decode


def unreadable(source: bytes | None, error: Exception) -> str:
    """Why a file of parameters cannot be read. Of bytes of any other kind MessagePack would tell what nobody wrote."""
    source = source or b""
    fault = malformed(error, source=source)
    if fault.field is None and not _is_json(source):
        return "The file is neither JSON nor MessagePack with an object of models."
    return fault.message


def _is_json(source: bytes) -> bool:
    return source.lstrip()[:1] == b"{"
