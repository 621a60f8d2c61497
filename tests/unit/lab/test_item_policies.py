"""Items chosen by the engine take fewer answers than items by chance or by a rule."""

from random import Random

import pytest

from mastery_engine.domain.courses.curriculum import Curriculum, curriculum_from
from mastery_engine.lab.simulate.item_policies import (
    ITEM_POLICIES,
    ItemPolicyOutcome,
    SimulatedItem,
    fitted_on_others,
    item_course,
    items_of,
)
from mastery_engine.lab.simulate.served_student import ServedModels

SEED = 4
SKILL = """
  - {id: %s, title: S, prerequisites: [%s], minutes: 30, difficulty: beginner, resources: ["https://example.org/s"]}"""
CHAIN = "".join(SKILL % (f"s{place}", f"s{place - 1}" if place else "") for place in range(8))


@pytest.fixture(scope="module")
def course() -> Curriculum:
    return curriculum_from(f"modules:\n- id: m\n  title: M\n  skills:{CHAIN}\n")


@pytest.fixture(scope="module")
def items(course: Curriculum) -> list[SimulatedItem]:
    return items_of(course, Random(SEED))


@pytest.fixture(scope="module")
def models(course: Curriculum, items: list[SimulatedItem]) -> ServedModels:
    return fitted_on_others(course, items, SEED, students=10, answers=120)


@pytest.fixture(scope="module")
def outcomes(course: Curriculum, items: list[SimulatedItem], models: ServedModels) -> dict[str, ItemPolicyOutcome]:
    return {name: item_course(name, course, items, models, students=3, seed=SEED) for name in ITEM_POLICIES}


def test_the_engine_takes_fewer_answers_than_chance_or_a_rule(outcomes: dict[str, ItemPolicyOutcome]) -> None:
    engine = outcomes["engine"]
    assert engine.reached == 3
    others = {name: outcomes[name].answers for name in ("random", "hardest", "target")}
    assert engine.answers < 0.8 * min(others.values()), others
    assert engine.answers <= 1.15 * outcomes["skills"].answers, "in a chain there is little to choose from"


def test_the_same_seed_gives_the_same_class(
    course: Curriculum, items: list[SimulatedItem], models: ServedModels, outcomes: dict[str, ItemPolicyOutcome]
) -> None:
    assert item_course("random", course, items, models, students=3, seed=SEED) == outcomes["random"]
