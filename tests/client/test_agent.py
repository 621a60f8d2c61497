"""A stranger's agent does five jobs with the client alone, by what an editor offers: names and one line each."""

import inspect
import pydoc
import re
from typing import Any, get_type_hints

import pytest

import mastery_client
from mastery_client import MasteryClient
from mastery_client.answers import CohortFigures, StudentMastery
from tests.support.calls import COHORT
from tests.support.client import ADA, School

pytestmark = pytest.mark.xdist_group("client")


def offered(words: str) -> list[str]:
    """The methods whose name or description has all these words, as who searches the list of an editor finds them."""
    found = []
    for name, method in inspect.getmembers(MasteryClient, inspect.isfunction):
        text = f"{name} {inspect.getdoc(method)}".lower()
        if not name.startswith("_") and all(word in text for word in words.split()):
            found.append(name)
    return found


def fields(kind: Any) -> set[str]:
    """What an editor offers after a dot."""
    return {name for name in get_type_hints(kind) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("looked_for", "method"),
    [
        ("who needs help why", "cohort"),
        ("what to do next", "recommendations"),
        ("forecast next days", "next_week"),
        ("mastery now", "query"),
        ("each skill", "skills"),
        ("what changed why", "changes"),
        ("students name", "students"),
        ("take events", "ingest_batch"),
        ("stands in a cohort", "compare"),
        ("consent", "set_consent"),
        ("erase student", "erase"),
        ("day", "history"),
        ("audit", "audit"),
    ],
)
def test_a_question_finds_its_method(looked_for: str, method: str) -> None:
    assert method in offered(looked_for)


def test_one_who_needs_help_and_why(school: School) -> None:
    with MasteryClient(school.url, token=school.admin) as engine:
        assert {"at_risk", "average", "level_distribution"} <= fields(CohortFigures)
        stuck = {one.student_id: one for one in engine.cohort(COHORT).at_risk}
        assert "s0" in stuck
        assert {"struggle", "low_score"} <= {reason.code for reason in stuck["s0"].reasons}
        assert all(reason.message and reason.evidence for one in stuck.values() for reason in one.reasons)


def test_two_how_is_a_student_doing_and_what_next(school: School) -> None:
    with MasteryClient(school.url, token=school.admin) as engine:
        (found,) = engine.students(query="lovelace").students
        assert found.student_id == ADA
        mastery = engine.query(found.student_id)
        assert {"current_mastery", "trend", "last_updated"} <= fields(StudentMastery)
        assert 0.0 <= mastery.current_mastery.mastery_score <= 1.0
        advice = engine.recommendations(found.student_id)
        assert advice[0].reason
        assert advice[0].estimated_time > 0
        assert engine.next_week(found.student_id).predicted_score > 0


def test_three_what_happened_this_week(school: School) -> None:
    with MasteryClient(school.url, token=school.admin) as engine:
        changes = engine.changes(ADA)
        assert sum(one.change for one in changes.contributions) == pytest.approx(changes.change, abs=1e-4)
        assert [cause.message for one in changes.contributions for cause in one.causes]
        assert engine.patterns(ADA).student_id == ADA


def test_four_report_what_a_student_did_and_see_it(school: School) -> None:
    with MasteryClient(school.url, token=school.admin) as engine:
        receipt = engine.ingest("quiz", "agents-student", {"total_questions": 10, "correct_answers": 9})
        assert receipt.event_id
        assert engine.wait_for_event("agents-student", receipt.event_id).status == "processed"
        components = engine.query("agents-student").current_mastery.components
        assert components is not None
        assert components.quiz == 0.9


def test_five_which_skills_a_class_lacks(school: School) -> None:
    with MasteryClient(school.url, token=school.admin) as engine:
        probabilities = {
            one: {skill.skill: skill.probability for skill in engine.skills(one).skills}
            for one in engine.iter_cohort_members(COHORT)
        }
        assert len(probabilities) == 6
        assert "loops" in probabilities[ADA]
        assert engine.compare(ADA, COHORT).rank == 1


def test_a_wrong_name_leads_to_the_right_one() -> None:
    """What an agent tries first, without reading: it is there, or an editor's list has it under the same letters."""
    for name in ("query", "cohort", "students", "skills", "history", "recommendations", "ingest", "ingest_batch"):
        assert name in dir(MasteryClient)
    text = pydoc.render_doc(mastery_client, renderer=pydoc.plaintext)
    assert re.search(r"engine\.cohort\(\"py-101\"\)\.at_risk +# who needs help, and why", text)
