"""What a school may set, and what it may not."""

from typing import Any

import msgspec
import pytest

from mastery_engine.domain.courses.zone import UTC, zone_named
from mastery_engine.domain.moments import DAY, MINUTE, SECOND
from mastery_engine.domain.rules import DifficultyWeights, Level, Rules, Weights, rules_from
from mastery_engine.errors import InvalidInput
from tests.support.samples import TODAY

LEARNFLOW = b"""
levels:
  - {name: beginner, from_score: 0}
  - {name: learning, from_score: 0.40}
  - {name: proficient, from_score: 0.70}
  - {name: mastered, from_score: 0.90}
"""


def test_the_defaults_are_the_contracts() -> None:
    rules = Rules()
    assert rules.component_weights == (0.40, 0.30, 0.20, 0.10)
    assert rules.difficulty_weights == (0.8, 1.0, 1.2)
    assert rules.retention_days == 90
    assert [(level.name, level.from_score) for level in rules.levels] == [
        ("beginner", 0.0),
        ("developing", 0.40),
        ("competent", 0.60),
        ("proficient", 0.75),
        ("expert", 0.90),
    ]


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (0.0, "beginner"),
        (-1e-12, "beginner"),
        (0.399999999, "beginner"),
        (0.3999999999, "developing"),
        (0.7 + 0.2, "expert"),
        (0.4, "developing"),
        (0.599999999, "developing"),
        (0.6, "competent"),
        (0.75, "proficient"),
        (0.899999999, "proficient"),
        (0.9, "expert"),
        (1.0, "expert"),
    ],
)
def test_a_level_begins_at_its_bound_after_rounding_to_9_decimals(score: float, level: str) -> None:
    rules = Rules()
    assert rules.levels[rules.level_index(score)].name == level


def test_a_school_can_have_learnflows_four_bands() -> None:
    rules = rules_from(LEARNFLOW, overrides={})
    names = [rules.levels[rules.level_index(score)].name for score in (0.39, 0.4, 0.69, 0.7, 0.89, 0.9)]
    assert names == ["beginner", "learning", "learning", "proficient", "proficient", "mastered"]
    assert rules.component_weights == (0.40, 0.30, 0.20, 0.10)


def test_weights_and_difficulties_can_be_set_in_yaml_and_in_json() -> None:
    yaml = b"weights: {completion: 0.25, quiz: 0.25, quality: 0.25, consistency: 0.25}\ndifficulty: {advanced: 2}"
    json = b'{"weights": {"completion": 0, "quiz": 0, "quality": 0, "consistency": 1.0}}'
    assert rules_from(yaml, overrides={}) == Rules(
        weights=Weights(0.25, 0.25, 0.25, 0.25), difficulty=DifficultyWeights(advanced=2.0)
    )
    assert rules_from(json, overrides={}).component_weights == (0.0, 0.0, 0.0, 1.0)


def test_settings_win_over_the_file() -> None:
    assert rules_from(b"retention_days: 10", overrides={"retention_days": 30}).retention_days == 30
    assert rules_from(b"retention_days: 10", overrides={}).retention_days == 10


def test_a_half_life_can_be_set_and_a_time_zone_is_the_courses_alone() -> None:
    assert rules_from(b"half_life_days: 7.5", overrides={}).half_life == 7.5 * DAY
    assert (Rules().half_life, Rules().zone) == (14 * DAY, UTC)
    for named in (b"zone: Europe/Berlin", b"zone: {name: Europe/Berlin}"):
        with pytest.raises(InvalidInput, match="set for a course") as refused:
            rules_from(named, overrides={})
        assert refused.value.field == "zone"


def test_the_days_of_a_course_are_those_of_its_zone() -> None:
    rules = Rules(zone=zone_named("America/Los_Angeles"), retention_days=7)
    midnight = TODAY * DAY + 8 * 60 * MINUTE
    assert (rules.day_of(midnight - 1), rules.day_of(midnight)) == (TODAY - 1, TODAY)
    assert (rules.start_of(TODAY), rules.end_of(TODAY)) == (midnight, midnight + DAY - SECOND)
    assert rules.first_day(TODAY) == TODAY - 6


@pytest.mark.parametrize("empty", [b"", b"# nothing yet\n", b"{}", b"null"])
def test_an_empty_file_changes_nothing(empty: bytes) -> None:
    assert rules_from(empty, overrides={}) == Rules()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"weights": Weights(0.5, 0.5, 0.5, 0.5)}, "weights"),
        ({"weights": Weights(0.4, 0.3, 0.2, 0.1 + 1e-8)}, "weights"),
        ({"weights": Weights(1.1, -0.1, 0.0, 0.0)}, "weights"),
        ({"weights": Weights(float("nan"), 0.3, 0.2, 0.1)}, "weights"),
        ({"levels": ()}, "levels"),
        ({"levels": (Level("a", 0.1),)}, "levels"),
        ({"levels": (Level("a", 0.0), Level("b", 0.5), Level("c", 0.5))}, "levels"),
        ({"levels": (Level("a", 0.0), Level("b", 0.5), Level("c", 0.4))}, "levels"),
        ({"levels": (Level("a", 0.0), Level("b", 0.50001), Level("c", 0.50008))}, "levels"),
        ({"levels": (Level("a", 0.0), Level("b", 1.0))}, "levels"),
        ({"levels": (Level("a", 0.0), Level("a", 0.5))}, "levels"),
        ({"levels": tuple(Level(f"l{n}", n / 17) for n in range(17))}, "levels"),
        ({"difficulty": DifficultyWeights(beginner=0.0)}, "difficulty"),
        ({"difficulty": DifficultyWeights(advanced=-1.0)}, "difficulty"),
        ({"retention_days": 0}, "retention_days"),
        ({"half_life_days": 0}, "half_life_days"),
        ({"half_life_days": 0.99}, "half_life_days"),
        ({"half_life_days": 3_651}, "half_life_days"),
        ({"half_life_days": float("nan")}, "half_life_days"),
        ({"half_life_days": 1, "retention_days": 501}, "half_life_days"),
    ],
)
def test_rules_that_make_no_sense_are_refused_by_name(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Rules(**changed)
    assert refused.value.field == field
    with pytest.raises(InvalidInput) as refused:
        rules_from(msgspec.yaml.encode(changed), overrides={})
    assert field in (refused.value.field or refused.value.message)


def test_one_level_and_sixteen_are_enough() -> None:
    one = Rules(levels=(Level("all", 0.0),))
    assert one.level_index(1.0) == 0
    sixteen = Rules(levels=tuple(Level(f"l{n}", n / 16) for n in range(16)))
    assert sixteen.level_index(1.0) == 15


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"weigths: {}", "weigths"),
        (b"weights: {completion: high}", "weights.completion"),
        (b"weights: {speed: 1}", "speed"),
        (b"levels: [{name: a}]", "from_score"),
        (b"retention_days: soon", "retention_days"),
        (b"{", "YAML"),
        (b"[1, 2]", "YAML"),
        (b"just words", "YAML"),
        (b"7", "YAML"),
        (b"\xff\xfe\xff", "YAML"),
    ],
)
def test_a_file_that_is_no_rules_is_refused_with_what_is_wrong(source: bytes, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_from(source, overrides={"retention_days": 90} if b"retention" not in source else {})
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("source", "field"),
    [
        (b"levels: [{name: a, from_score: 0.0}, {name: b, from_score: .nan}]", "levels"),
        (b"difficulty: {advanced: .nan}", "difficulty"),
        (b"difficulty: {advanced: .inf}", "difficulty"),
        (b"weights: {quiz: .nan}", "weights"),
    ],
)
def test_what_is_no_number_is_no_rule(source: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_from(source, overrides={})
    assert refused.value.field == field


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_before_rules_is_passed_over(encoding: str) -> None:
    source = "difficulty: {advanced: 1.5}"
    assert rules_from(source.encode(encoding), overrides={}) == rules_from(source.encode(), overrides={})


def test_a_text_that_is_no_yaml_is_located() -> None:
    with pytest.raises(InvalidInput, match="line 2: The file is not YAML"):
        rules_from(b"weights: [1,\n2\n", overrides={})
    with pytest.raises(InvalidInput, match="save it as UTF-8"):
        rules_from(b"weights: \xff", overrides={})
