"""Two schools with two courses each; a student is in both of ours, and a namesake in one of theirs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from tests.support.calls import Api, Json, event, make_token, serving

PHYSICS, ART = "course-v1:edX+DemoX+2026", "edX/DemoX/2026"
OURS, THEIRS = "school-1", "school-2"
ADA = "ada"


@asynccontextmanager
async def two_schools(home: Path) -> AsyncIterator[Api]:
    """The service with both."""
    async with serving(home, dapr_trust_loopback=True) as api:
        for tenant in (OURS, THEIRS):
            admin = make_token(tenant=tenant)
            await put_course(api, PHYSICS, course(f"Physics at {tenant}", "motion", "Pacific/Kiritimati"), admin)
            await put_course(api, ART, course(f"Art at {tenant}", "colour", "Pacific/Niue"), admin)
        await learn_in(api, OURS, PHYSICS, 9)
        await learn_in(api, OURS, ART, 3)
        await learn_in(api, THEIRS, ART, 6)
        yield api


def course(title: str, skill: str, time_zone: str) -> Json:
    """A course with one skill and one item."""
    one = {"id": skill, "title": skill.title(), "prerequisites": [], "minutes": 30, "difficulty": "beginner"}
    module = {"id": "m", "title": "All of it", "skills": [one | {"resources": []}]}
    items = [{"item_id": f"{skill}-1", "skills": [skill], "title": title}]
    return {"title": title, "time_zone": time_zone, "curriculum": {"modules": [module]}, "items": items}


async def put_course(api: Api, course_id: str, body: Json, token: str) -> None:
    answer = await api.call("PUT", f"/courses/{quote(course_id, safe='')}", body, token=token)
    assert answer.status_code == 200, answer.text


async def learn_in(
    api: Api, tenant: str, course_id: str, right: int, student_id: str = ADA, cohort_id: str | None = None
) -> None:
    """So many of ten right, and one answer to the course's own item; both may name a class."""
    quiz = event("quiz", student_id=student_id, total_questions=10, correct_answers=right, topic="t")
    skill = "motion" if course_id == PHYSICS else "colour"
    answer = event("answer", student_id=student_id, item_id=f"{skill}-1", correct=True, skills=[])
    named = {} if cohort_id is None else {"metadata": {"cohort_id": cohort_id}}
    events = [{**one, "course_id": course_id, **named} for one in (quiz, answer)]
    await api.learn(*events, token=make_token(tenant=tenant))
