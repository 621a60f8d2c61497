"""Each call of the engine, by both clients, against a running engine: it is answered, and by the type that it names."""

import inspect
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest

from mastery_client import AsyncMasteryClient, MasteryClient, calls
from mastery_client.answers import Reason
from mastery_client.call import Call
from mastery_client.response import Response, RowList
from tests.support.client import ADA, CALLS, School

pytestmark = pytest.mark.xdist_group("client")
EACH = pytest.mark.parametrize("name", CALLS)


def kinds(client: type, name: str) -> tuple[Any, ...]:
    """The types that a method may return."""
    said = get_type_hints(getattr(client, name))["return"]
    return get_args(said) if isinstance(said, UnionType) else (said,)


def check(client: type, name: str, answer: Any) -> None:
    """Raises AssertionError if an answer is not what the method names, or has no id."""
    said = kinds(client, name)
    assert any(kind is Any or isinstance(answer, get_origin(kind) or kind) for kind in said), (said, answer)
    if isinstance(answer, Response | RowList):
        assert answer.request_id
    if isinstance(answer, RowList):
        row = get_args(said[0])[0]
        assert all(isinstance(one, row) for one in answer)


@EACH
def test_the_sync_client_makes_the_call(school: School, name: str) -> None:
    answer = CALLS[name](school.client(name), school)
    if name == "stream":
        assert next(answer).student_id == ADA
        answer.close()
    else:
        check(MasteryClient, name, answer)


@EACH
def test_the_async_client_makes_the_call(school: School, name: str) -> None:
    async def called() -> None:
        answer = CALLS[name](school.async_client(name), school)
        if name == "stream":
            assert (await anext(answer)).student_id == ADA
            await answer.aclose()
        else:
            check(AsyncMasteryClient, name, await answer)

    school.run(called())


def test_every_call_is_tried_here() -> None:
    table = {call.name for call in vars(calls).values() if isinstance(call, Call)}
    assert CALLS.keys() == table


def test_the_clients_have_the_same_methods_with_the_same_words() -> None:
    ours, theirs = (
        {name: getattr(client, name) for name in dir(client) if not name.startswith("_")}
        for client in (MasteryClient, AsyncMasteryClient)
    )
    assert ours.keys() == theirs.keys()
    for name, method in ours.items():
        assert list(inspect.signature(method).parameters.items()) == list(
            inspect.signature(theirs[name]).parameters.items()
        ), name
        assert inspect.getdoc(method) == inspect.getdoc(theirs[name]), name


def test_what_a_call_is_about_may_be_given_by_its_place() -> None:
    for client in (MasteryClient, AsyncMasteryClient):
        for name, about in (("calculate", "components"), ("audit", "student"), ("iter_audit", "student")):
            parameters = inspect.signature(getattr(client, name)).parameters
            by_place = [one for one in parameters.values() if one.kind is one.POSITIONAL_OR_KEYWORD]
            assert by_place[-1].name == about, (client, name)


def test_answers_are_typed_to_the_bottom(school: School) -> None:
    engine = school.client()
    found = engine.query(ADA)
    assert found.current_mastery.components is not None
    assert found.last_updated.tzinfo is not None
    assert found.trend in ("improving", "declining", "stable")
    assert engine.history(ADA).history[-1].date.year >= 2026
    assert engine.next_week(ADA).days[0].lower <= engine.next_week(ADA).days[0].upper
    with pytest.raises(AttributeError):
        found.trend = "stable"


def test_what_a_newer_engine_says_more_is_passed_over() -> None:
    text = b'{"status": "healthy", "since": "2030-01-01", "more": {"a": [1]}}'
    assert msgspec.json.decode(text, type=kinds(MasteryClient, "health")[0]).status == "healthy"
    other = b'{"code": "lonely", "message": "Nobody is there.", "evidence": ""}'
    assert msgspec.json.decode(other, type=Reason).code == "lonely"
