"""Files of model parameters: MessagePack or JSON, with a part for each of the engine's models."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from mastery_engine.domain.faults import malformed
from mastery_engine.domain.json_text import without_mark
from mastery_engine.domain.skills.model import SkillModel, of_this_format
from mastery_engine.domain.skills.next_answer.parameters import AnswerModels, AnswerParameters
from mastery_engine.errors import InvalidInput

VERSION = 1

FileVersion: TypeAlias = Annotated[int, Meta(ge=VERSION, le=VERSION)]


class SkillsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of model parameters, as the skill model reads it."""

    version: FileVersion
    skills: SkillModel | None = None
    forecast: msgspec.Raw = msgspec.Raw()
    answers: msgspec.Raw = msgspec.Raw()


class AnswersFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of model parameters, as the models of the next answer read it: a part for each tenant's course."""

    version: FileVersion
    skills: msgspec.Raw = msgspec.Raw()
    forecast: msgspec.Raw = msgspec.Raw()
    answers: dict[str, AnswerParameters] = {}


def skills_from(source: bytes) -> SkillModel | None:
    """The skill model in a file of parameters, of any format so far; None if the file has none. Raises InvalidInput."""
    source = without_mark(source)
    try:
        model = (_json if _is_json(source) else _msgpack)(source).skills
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            f"The parameters of the skill model cannot be read. {unreadable(source, error)} "
            "Fit them again with mastery-engine fit skills."
        ) from error
    return model and of_this_format(model)


def answers_from(source: bytes) -> AnswerModels:
    """The models of the next answer in a file of parameters, which may hold none. Raises InvalidInput."""
    source = without_mark(source)
    try:
        return AnswerModels((_json_answers if _is_json(source) else _msgpack_answers)(source).answers)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = unreadable(source, error)
    except ValueError as error:
        reason = f"They do not fit together: {error}."
    raise InvalidInput(
        f"The parameters of the next answer cannot be read. {reason} Fit them again with mastery-engine fit answers."
    )


def with_skills(source: bytes | None, model: SkillModel) -> bytes:
    """The file with this skill model in it; the format and the other parts of ``source`` stay. Raises InvalidInput."""
    return _written(source, _parts(source) | {"skills": model})


def with_answers(source: bytes | None, name: str, parameters: AnswerParameters) -> bytes:
    """The file with these parameters of a course, by the name of its part; all else stays. Raises InvalidInput."""
    parts = _parts(source)
    held = parts.get("answers")
    return _written(source, parts | {"answers": (held if isinstance(held, dict) else {}) | {name: parameters}})


def _parts(source: bytes | None) -> dict[str, object]:
    """The parts of a file as they stand in it. Raises InvalidInput."""
    source = without_mark(source or b"")
    try:
        decode = msgspec.json.decode if _is_json(source) else msgspec.msgpack.decode
        return decode(source, type=dict[str, object]) if source else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            f"The output file exists and is not a file of model parameters. {unreadable(source, error)} "
            "Name another file."
        ) from error


def _written(source: bytes | None, parts: dict[str, object]) -> bytes:
    encode = msgspec.json.encode if _is_json(without_mark(source or b"")) else msgspec.msgpack.encode
    return encode(parts | {"version": VERSION})


_json = msgspec.json.Decoder(SkillsFile).decode
_msgpack = msgspec.msgpack.Decoder(SkillsFile).decode
_json_answers = msgspec.json.Decoder(AnswersFile).decode
_msgpack_answers = msgspec.msgpack.Decoder(AnswersFile).decode


def unreadable(source: bytes | None, error: Exception) -> str:
    """Why a file of parameters cannot be read. Of bytes of any other kind MessagePack would tell what nobody wrote."""
    source = source or b""
    fault = malformed(error, source=source)
    if fault.field is None and not _is_json(source):
        return "The file is neither JSON nor MessagePack with an object of models."
    return fault.message


def _is_json(source: bytes) -> bool:
    return source.lstrip()[:1] == b"{"
