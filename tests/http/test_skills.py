"""What knowledge tracing answers over HTTP."""

from typing import Any

from tests.support.calls import STUDENT, Api
from tests.support.live import make_token


def answer(number: int, skills: list[str], correct: bool) -> dict[str, Any]:
    return {
        "event_id": f"a-{number}",
        "event_type": "answer",
        "student_id": STUDENT,
        "data": {"item_id": f"i-{number}", "skills": skills, "correct": correct},
    }


async def test_each_skill_answered_on_has_its_estimate(api: Api) -> None:
    sent = [answer(n, ["loops"], correct=True) for n in range(6)]
    sent += [answer(6 + n, ["functions"], correct=False) for n in range(4)]
    await api.learn(*sent)
    found = await api.data("/analytics/skills", {"student_id": STUDENT})
    assert found["student_id"] == STUDENT
    loops, functions = found["skills"]
    assert (loops["skill"], loops["answers"], functions["skill"], functions["answers"]) == ("loops", 6, "functions", 4)
    assert loops["probability"] > 0.7 > 0.6 > functions["probability"]
    assert loops["forgotten"] < 0.01
    assert 0 < loops["uncertainty"] < functions["uncertainty"] < 1.2
    assert loops["last_practised"].endswith("Z")


async def test_who_has_not_answered_has_no_skills_and_who_is_unknown_is_not_found(api: Api) -> None:
    await api.learn({"event_type": "help", "student_id": STUDENT, "event_id": "h", "data": {"topic": "loops"}})
    assert await api.data("/analytics/skills", {"student_id": STUDENT}) == {"student_id": STUDENT, "skills": []}
    assert (await api.post("/analytics/skills", {"student_id": "nobody"})).status_code == 404
    stranger = make_token("student", subject="someone-else")
    assert (await api.post("/analytics/skills", {"student_id": STUDENT}, token=stranger)).status_code == 403
    assert (await api.post("/analytics/skills", {"student": STUDENT})).status_code == 400
