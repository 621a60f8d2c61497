"""Lists that come in pages, as one iterator; and what the engine refuses, as an error of its kind."""

from collections.abc import Callable
from typing import Any

import pytest

import mastery_client
from mastery_client import (
    ApiError,
    AsyncMasteryClient,
    BadRequest,
    Conflict,
    CourseRequired,
    Forbidden,
    MasteryClient,
    MasteryError,
    NotFound,
    Unauthenticated,
)
from tests.support.calls import COHORT, event
from tests.support.client import ADA, School
from tests.support.live import make_token

pytestmark = pytest.mark.xdist_group("client")

PAGED: dict[str, Callable[[Any], Any]] = {
    "students": lambda engine: engine.iter_students(cohort_id=COHORT, limit=2),
    "cohort": lambda engine: engine.iter_cohort(COHORT, limit=1),
    "cohort_members": lambda engine: engine.iter_cohort_members(COHORT, limit=4),
    "courses": lambda engine: engine.iter_courses(limit=1),
    "audit": lambda engine: engine.iter_audit(call="put-course", limit=1),
    "deliveries": lambda engine: engine.iter_deliveries("lms", limit=3),
}


@pytest.mark.parametrize("name", PAGED)
def test_pages_are_gone_through_by_both_clients(school: School, name: str) -> None:
    async def rows() -> list[Any]:
        return [row async for row in PAGED[name](school.async_client())]

    found, again = list(PAGED[name](school.client())), school.run(rows())
    assert len(found) > 1
    ids = [getattr(row, "id", getattr(row, "course_id", getattr(row, "student_id", row))) for row in found]
    assert len({str(one) for one in ids}) == len(ids)
    assert len(again) >= len(found)


def test_every_call_with_pages_has_an_iterator() -> None:
    assert {f"iter_{name}" for name in PAGED} == {name for name in dir(MasteryClient) if name.startswith("iter_")}
    assert {name for name in dir(AsyncMasteryClient) if name.startswith("iter_")} == {f"iter_{name}" for name in PAGED}


def test_pages_start_where_they_are_told_and_fetch_no_more_than_is_read(school: School) -> None:
    engine = school.client()
    first = engine.students(cohort_id=COHORT, limit=2)
    rest = list(engine.iter_students(cohort_id=COHORT, limit=2, cursor=first.next_cursor))
    every = list(engine.iter_students(cohort_id=COHORT))
    assert [*first.students, *rest] == every
    pages = engine.iter_students(cohort_id=COHORT, limit=1)
    assert next(pages) == every[0]
    assert len(pages.to_frame()) == len(every) - 1
    assert list(pages) == []


def test_pages_to_be_awaited_are_frames_too(school: School) -> None:
    async def found() -> Any:
        return await school.async_client().iter_students(cohort_id=COHORT, limit=2).to_frame()

    assert len(school.run(found())) == 6


REFUSED: dict[str, tuple[type[ApiError], int, str, dict[str, Any], Callable[[MasteryClient], Any]]] = {
    "unknown": (NotFound, 404, "NOT_FOUND", {}, lambda engine: engine.query("nobody-known")),
    "invalid": (BadRequest, 400, "VALIDATION_ERROR", {}, lambda engine: engine.query("no spaces")),
    "no token": (Unauthenticated, 401, "AUTH_ERROR", {"token": None}, lambda engine: engine.query(ADA)),
    "bad token": (Unauthenticated, 401, "AUTH_ERROR", {"token": "x.y.z"}, lambda engine: engine.query(ADA)),
    "another's": (
        Forbidden,
        403,
        "FORBIDDEN",
        {"token": make_token("student", subject="s0")},
        lambda engine: engine.query(ADA),
    ),
    "not consented": (Conflict, 409, "CONFLICT", {}, lambda engine: engine.skills("withdrawn")),
    "several courses": (CourseRequired, 400, "COURSE_REQUIRED", {}, lambda engine: engine.query("twofold")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_an_error_of_its_kind(school: School, name: str) -> None:
    kind, status, code, options, call = REFUSED[name]
    engine = school.client()
    if name == "not consented":
        school.run(school.api.learn(event("quiz", student_id="withdrawn")))
        engine.set_consent("withdrawn", profiling=False)
    if name == "several courses":
        both = [{**event("quiz", student_id="twofold"), "course_id": course} for course in ("art", "physics")]
        school.run(school.api.learn(*both))
    with MasteryClient(school.url, **{"token": school.admin, **options}) as other, pytest.raises(kind) as caught:
        call(other)
    error = caught.value
    assert (error.status, error.code, error.retry_after) == (status, code, None)
    assert error.request_id
    assert error.request_id in str(error)
    assert error.message in str(error)
    if isinstance(error, CourseRequired):
        assert sorted(error.courses) == ["art", "physics"]
    if name == "invalid":
        assert error.field == "student_id"


def test_errors_are_one_tree_that_its_docstring_draws() -> None:
    tree = mastery_client.errors.__doc__ or ""
    every = [
        kind
        for kind in vars(mastery_client.errors).values()
        if isinstance(kind, type) and issubclass(kind, MasteryError)
    ]
    assert len(every) == 17
    assert [kind.__name__ for kind in every if f"{kind.__name__} " not in tree.replace("\n", " ")] == []
    assert [kind.__name__ for kind in every if kind.__name__ not in mastery_client.__all__] == []


def test_headers_of_ones_own_go_along_and_the_request_keeps_the_callers_id(school: School) -> None:
    headers = {"X-Request-Id": "mine-7"}
    with MasteryClient(school.url + "/api/v1/", token=school.admin, headers=headers) as engine:
        assert engine.query(ADA).request_id == "mine-7"
