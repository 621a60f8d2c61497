"""Following the engine takes less practice; a quick version of `mastery-engine simulate --policy all`."""

import json
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from mastery_engine import cli
from mastery_engine.lab.simulate.learners import FIRST_DAY, LEARNERS, SmoothLearner
from mastery_engine.lab.simulate.policies import GOAL, POLICIES, PolicyOutcome, course
from tests.support.samples import CURRICULUM


@pytest.fixture(scope="module")
def courses() -> dict[str, PolicyOutcome]:
    return {policy: course(policy, CURRICULUM, students=4, seed=1) for policy in POLICIES}


def test_who_follows_the_engine_needs_at_most_0_7_of_the_practice_of_random_order(
    courses: dict[str, PolicyOutcome],
) -> None:
    assert courses["engine"].sessions <= 0.7 * courses["random"].sessions


def test_who_follows_the_engine_needs_less_than_by_the_weakest_or_in_order(courses: dict[str, PolicyOutcome]) -> None:
    assert courses["engine"].sessions < courses["weakest"].sessions
    assert courses["engine"].sessions < courses["curriculum"].sessions


@pytest.mark.parametrize("learners", [kind for kind in LEARNERS if kind != "smooth"])
def test_advice_helps_learners_of_other_kinds_too(learners: str) -> None:
    engine, random = (
        course(policy, CURRICULUM, students=3, seed=1, learners=learners) for policy in ("engine", "random")
    )
    assert engine.reached == 3
    assert engine.sessions <= 0.8 * random.sessions


def test_learners_that_are_not_known_are_refused_by_name() -> None:
    done = CliRunner().invoke(cli.app, ["simulate", "--policy", "random", "--learners", "magic"])
    assert done.exit_code == 2
    assert "smooth, binary, logistic" in " ".join(done.output.split())


def test_everybody_gets_there_and_the_curves_show_it(courses: dict[str, PolicyOutcome]) -> None:
    for outcome in courses.values():
        assert outcome.reached == outcome.students == 4
        assert outcome.curve[-1] >= GOAL - 0.02
        assert outcome.curve[0] == courses["engine"].curve[0]


def test_practice_without_what_it_rests_on_teaches_little() -> None:
    skill = "http-clients"
    learner = next(
        beginner
        for beginner in (SmoothLearner(CURRICULUM, Random(seed)) for seed in range(100))
        if all(beginner.masters(needed, FIRST_DAY) < 0.3 for needed in CURRICULUM.skills[skill].prerequisites)
    )
    before = learner.masters(skill, FIRST_DAY)
    learner.practise(skill, FIRST_DAY)
    blind = learner.masters(skill, FIRST_DAY) - before
    for needed in [name for name in CURRICULUM.skills if name in CURRICULUM.before[skill]]:
        for _ in range(15):
            learner.practise(needed, FIRST_DAY)
    before = learner.masters(skill, FIRST_DAY)
    learner.practise(skill, FIRST_DAY)
    assert learner.masters(skill, FIRST_DAY) - before > 3 * blind
    assert learner.masters(skill, FIRST_DAY + 60) < learner.masters(skill, FIRST_DAY)


def test_the_command_says_how_much_practice_each_policy_takes_and_draws_it(tmp_path: Path) -> None:
    plot = tmp_path / "policies.svg"
    words = ["simulate", "--policy", "curriculum", "--policy", "random", "--students", "1", "--plot", str(plot)]
    done = CliRunner().invoke(cli.app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert [outcome["policy"] for outcome in shown["courses"]] == ["curriculum", "random"]
    drawn = ElementTree.fromstring(plot.read_text())
    assert len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == 2 + 1  # and the goal
    said = CliRunner().invoke(cli.app, ["simulate", "--policy", "curriculum", "--students", "1"])
    assert "curriculum" in said.stdout
