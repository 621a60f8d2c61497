"""Calls about advice, learning paths and patterns."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from mastery_engine.domain.advice.learning_path import Goal
from mastery_engine.domain.advice.recommendation import Priority
from mastery_engine.domain.courses.course import CourseItem
from mastery_engine.http.body import Body, ItemId, Name, OfStudent
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine
from mastery_engine.http.openapi import responds
from mastery_engine.responses.advice import LearningPath, Recommended, StudentPatterns
from mastery_engine.responses.next_answers import ItemToAnswer
from mastery_engine.services.next_answers import MOST_OFFERED, TARGET

router = APIRouter(route_class=EnvelopeRoute, tags=["recommendations"])


class Advise(OfStudent):
    """Which student; the most recommendations, and the lowest priority."""

    limit: Annotated[int, Field(ge=1, le=10)] = 5
    priority: Priority = "low"


class FindPath(OfStudent):
    """Which student, and the goal. ``topic`` is a skill or a module of the course; ``master_topic`` needs one."""

    goal: Goal = "improve_mastery"
    topic: Name | None = None


@router.post("/recommendations/adaptive", openapi_extra=responds(Recommended, many=True, limit="recommendations"))
async def recommendations(engine: TheEngine, caller: Authenticated, body: Advise) -> list[Recommended]:
    """What to do next, ranked by the gain of mastery per minute; a student without events is advised where to start."""
    return await engine.advice.recommendations(
        caller, body.student_id, course_id=body.course_id, limit=body.limit, priority=body.priority
    )


@router.post("/recommendations/learning-path", openapi_extra=responds(LearningPath, limit="recommendations"))
async def learning_path(engine: TheEngine, caller: Authenticated, body: FindPath) -> LearningPath:
    """The shortest path to a goal, with minutes, a schedule by day and the estimated completion."""
    return await engine.advice.path(caller, body.student_id, body.goal, body.topic, course_id=body.course_id)


class OfferedItem(Body):
    """An item to choose from, the skills that it exercises, and what a student is shown of it."""

    item_id: ItemId
    skills: Annotated[tuple[Name, ...], Field(max_length=8)] = ()
    title: Annotated[str, Field(max_length=1_000)] | None = None
    url: Annotated[str, Field(max_length=1_000)] | None = None


class ChooseItems(OfStudent):
    """Which student, from which items (else the course's), of which skill, how many, and how likely to be right."""

    items: Annotated[list[OfferedItem], Field(min_length=1, max_length=MOST_OFFERED)] | None = None
    skill: Name | None = None
    limit: Annotated[int, Field(ge=1, le=20)] = 5
    target: Annotated[float, Field(ge=0.5, le=0.95)] = TARGET


@router.post("/recommendations/items", openapi_extra=responds(ItemToAnswer, many=True, limit="recommendations"))
async def next_items(engine: TheEngine, caller: Authenticated, body: ChooseItems) -> list[ItemToAnswer]:
    """Which items to answer next, best first: ready, near the wanted chance of a right answer, due ones first."""
    offered = None
    if body.items is not None:
        offered = [CourseItem(item.item_id, item.skills, item.title, item.url) for item in body.items]
    return await engine.next_answers.items(
        caller,
        body.student_id,
        offered,
        course_id=body.course_id,
        skill=body.skill,
        limit=body.limit,
        target=body.target,
    )


@router.post("/analytics/patterns", openapi_extra=responds(StudentPatterns, limit="analytics"))
async def patterns(engine: TheEngine, caller: Authenticated, body: OfStudent) -> StudentPatterns:
    """The patterns that a tutor would notice in a student's history, with their evidence, and the open struggles."""
    return await engine.advice.patterns(caller, body.student_id, course_id=body.course_id)
