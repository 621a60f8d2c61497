"""Files of parameters: each model has its part."""

import msgspec
import pytest

from mastery_engine.domain.forecast.model import parameters_from
from mastery_engine.domain.model_file import answers_from, skills_from, with_answers, with_skills
from mastery_engine.domain.skills.model import Revision, SkillModel
from mastery_engine.domain.skills.next_answer.levels import ItemLevel
from mastery_engine.domain.skills.next_answer.parameters import EVERYWHERE, AnswerParameters, LevelRevision
from mastery_engine.errors import InvalidInput

MODEL = SkillModel(version="mine", items={"i": 0.5}, skills={"s": 1.5})


@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack], ids=["json", "msgpack"])
def test_the_format_and_the_other_parts_stay(codec: object) -> None:
    source = codec.encode({"version": 1, "forecast": {"kept": [1, 2]}})  # type: ignore[attr-defined]
    assert skills_from(source) is None
    written = with_skills(source, MODEL)
    assert skills_from(written) == MODEL
    assert codec.decode(written)["forecast"] == {"kept": [1, 2]}  # type: ignore[attr-defined]


def test_a_new_file_has_this_part_alone() -> None:
    assert skills_from(with_skills(None, MODEL)) == MODEL


@pytest.mark.parametrize("source", [b"{", b"\x01", b'{"version": 2}', b"\xff", b'{"version": 1, "skills": {"odd": 1}}'])
def test_what_cannot_be_read_is_refused(source: bytes) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        skills_from(source)


@pytest.mark.parametrize(
    "skills",
    [
        {"format": 0},
        {"format": 3},
        {"half_life_days": 0.0},
        {"half_life_days": float("inf")},
        {"guess": 1.0},
        {"slip": -0.1},
        {"guess": 0.5, "slip": 0.5},
        {"general_variance": -1.0},
        {"skill_variance": -1.0},
        {"general_noise": -1.0},
        {"skill_noise": -1.0},
        {"unsure_days": 0.0},
        {"information": -1.0},
        {"own_gain": -0.1},
        {"success_weight": -0.1},
        {"success_kept": 1.0},
        {"general_variance": 5.0, "information": 0.01},
        {"skill_variance": 1.0, "information": 0.1, "success_weight": 4.0},
        {"usual": float("nan")},
        {"guess": float("nan")},
        {"items": {"i": float("nan")}},
        {"skills": {"s": float("inf")}},
        {"revisions": [{"since": 1, "heard": 1, "items": {"i": (float("nan"), 0.1)}}]},
        {"revisions": [{"since": 2, "heard": 0, "items": {}}, {"since": 1, "heard": 0, "items": {}}]},
        {"revisions": [{"since": 1, "heard": 0, "items": {}}, {"since": 1, "heard": 0, "items": {}}]},
        {"revisions": [{"since": one, "heard": 0, "items": {}} for one in range(101)]},
    ],
    ids=str,
)
def test_parameters_that_cannot_work_are_refused(skills: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        skills_from(msgspec.msgpack.encode({"version": 1, "skills": skills}))


def test_a_file_of_the_first_format_keeps_what_it_learned_and_takes_the_shipped_constants() -> None:
    constants = {"general_variance": 0.35, "skill_variance": 0.5, "general_noise": 0.006, "skill_noise": 0.02}
    constants |= {"unsure_days": 110.0, "information": 0.2, "carry_over": 0.85, "half_life_days": 500.0, "usual": 1.2}
    learned = {"items": {"i": 0.5}, "skills": {"s": 1.5}, "guess": 0.1, "slip": 0.05, "harder": 0.3, "version": "old"}
    revision = {"since": 1, "heard": 1, "items": {"j": (0.2, 0.1)}}
    first = {"format": 1} | constants | learned | {"revisions": [revision]}
    found = skills_from(msgspec.msgpack.encode({"version": 1, "skills": first}))
    assert found is not None
    assert (found.usual, found.skills) == (pytest.approx(0.7), {"s": pytest.approx(1.0)})
    kept = SkillModel(version="old", guess=0.1, slip=0.05, harder=0.3, items={"i": 0.5})
    kept = kept.revised(Revision(1, 1, {"j": (0.2, 0.1)}), floor=0)
    assert msgspec.structs.replace(found, usual=kept.usual, skills={}) == kept
    assert skills_from(with_skills(None, found)) == found


def test_a_part_that_the_engine_does_not_know_is_refused() -> None:
    with pytest.raises(InvalidInput, match="skils"):
        skills_from(b'{"version": 1, "skils": {}}')


@pytest.mark.parametrize("source", [b"{", b"\x01"])
def test_what_is_no_file_of_parameters_is_not_written_over(source: bytes) -> None:
    with pytest.raises(InvalidInput, match="not a file of model parameters"):
        with_skills(source, MODEL)


@pytest.mark.parametrize("source", [b"hello", b"[1]", b"", b"\x93\x01\x02\x03", bytes(9)])
def test_a_file_of_another_kind_is_told_so_and_nothing_of_its_bytes(source: bytes) -> None:
    for read in (skills_from, parameters_from):
        with pytest.raises(InvalidInput, match="The file is neither JSON nor MessagePack with an object of models."):
            read(source)


def test_a_byte_order_mark_before_a_file_in_json_is_passed_over() -> None:
    source = with_skills(b"{}", SkillModel())
    assert skills_from(b"\xef\xbb\xbf" + source) == skills_from(source) is not None
    assert with_skills(b"\xef\xbb\xbf" + source, SkillModel()) == source
    assert parameters_from(b"\xef\xbb\xbf" + source) is parameters_from(source) is None


def answer_parameters(difficulty: float) -> AnswerParameters:
    return AnswerParameters(revisions=(LevelRevision(items={"i": ItemLevel(difficulty)}),))


@pytest.mark.parametrize("source", [None, b'{"version": 1, "forecast": {"kept": [1, 2]}}'], ids=["msgpack", "json"])
def test_each_course_has_its_part_and_the_others_stay(source: bytes | None) -> None:
    written = with_answers(with_skills(source, MODEL), EVERYWHERE, answer_parameters(1.0))
    written = with_answers(written, "school/default", answer_parameters(2.0))
    models = answers_from(with_skills(written, MODEL))
    for tenant, difficulty in (("school", 2.0), ("other", 1.0)):
        item = models.of(tenant).item("i", 0)
        assert item is not None
        assert item.difficulty == difficulty
    assert skills_from(written) == MODEL
    assert answers_from(with_skills(source, MODEL)).parts == {}
    assert source is None or msgspec.json.decode(written)["forecast"] == {"kept": [1, 2]}


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"*": {"format": 2}}, "cannot be read"),
        ({"*": {"typo": 2}}, "cannot be read"),
        ({"*": {"revisions": [{"items": {"i": [99.0]}}]}}, "do not fit together"),
        ([], "cannot be read"),
    ],
)
def test_parameters_of_answers_that_cannot_work_are_refused(answers: object, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        answers_from(msgspec.json.encode({"version": 1, "answers": answers}))
