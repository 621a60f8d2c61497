"""What a route asks for and would not be given is refused when the route is made, and not dropped at each call."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    File,
    Form,
    Header,
    Query,
    Request,
    Response,
    Security,
)
from fastapi.requests import HTTPConnection
from fastapi.security import SecurityScopes
from pydantic import BaseModel

from mastery_engine.auth.access import Caller
from mastery_engine.http import openapi
from mastery_engine.http.body import OfStudent, StudentId
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine
from mastery_engine.http.openapi import LIMIT, bare, responds, takes
from mastery_engine.responses.ingest import Receipt
from mastery_engine.service import create_app
from mastery_engine.settings import Settings


class Pair(BaseModel):
    """Two parameters of a query."""

    first: str = ""
    second: str = ""


class NamedOnce(msgspec.Struct):
    """What a route responds with."""


def somebody(request: Request) -> str:
    return request.headers.get("x-somebody", "")


async def reads_a_header(engine: TheEngine, trace: Annotated[str, Header()] = "") -> None: ...
async def reads_a_cookie(engine: TheEngine, session: Annotated[str, Cookie()] = "") -> None: ...
async def depends_on_more(engine: TheEngine, who: Annotated[str, Depends(somebody)]) -> None: ...
async def is_guarded_otherwise(engine: TheEngine, who: Annotated[str, Security(somebody)]) -> None: ...
async def takes_two_bodies(engine: TheEngine, one: OfStudent, other: OfStudent) -> None: ...
async def takes_a_part_of_a_body(engine: TheEngine, one: Annotated[OfStudent, Body(embed=True)]) -> None: ...
async def takes_a_list(engine: TheEngine, several: list[OfStudent]) -> None: ...
async def takes_a_form(engine: TheEngine, student_id: Annotated[str, Form()]) -> None: ...
async def takes_a_form_of_a_model(engine: TheEngine, form: Annotated[OfStudent, Form()]) -> None: ...
async def takes_a_file(engine: TheEngine, file: Annotated[bytes, File()]) -> None: ...
async def reads_a_parameter_several_times(topic: Annotated[list[str], Query()]) -> None: ...
async def reads_one_several_times_or_never(topic: Annotated[list[str] | None, Query()] = None) -> None: ...
async def reads_parameters_into_a_model(pair: Annotated[Pair, Query()]) -> None: ...
async def writes_to_the_response(engine: TheEngine, response: Response) -> None: ...
async def works_afterwards(engine: TheEngine, tasks: BackgroundTasks) -> None: ...
async def asks_for_the_connection(engine: TheEngine, connection: HTTPConnection) -> None: ...
async def asks_for_scopes(engine: TheEngine, scopes: SecurityScopes) -> None: ...
def is_not_awaited(engine: TheEngine) -> None: ...


NOT_READ = (
    reads_a_header,
    reads_a_cookie,
    depends_on_more,
    is_guarded_otherwise,
    takes_two_bodies,
    takes_a_part_of_a_body,
    takes_a_list,
    takes_a_form,
    takes_a_form_of_a_model,
    takes_a_file,
    reads_a_parameter_several_times,
    reads_one_several_times_or_never,
    reads_parameters_into_a_model,
    writes_to_the_response,
    works_afterwards,
    asks_for_the_connection,
    asks_for_scopes,
    is_not_awaited,
)


def router() -> APIRouter:
    return APIRouter(route_class=EnvelopeRoute)


@pytest.mark.parametrize("endpoint", NOT_READ)
def test_what_would_not_be_read_is_refused_when_the_route_is_made(endpoint: Any) -> None:
    with pytest.raises(
        TypeError, match="/somewhere: an EnvelopeRoute awaits its endpoint and gives it path parameters"
    ):
        router().post("/somewhere", openapi_extra=responds(Receipt, limit=None))(endpoint)


def test_a_dependency_of_the_whole_router_is_refused_too() -> None:
    guarded = APIRouter(route_class=EnvelopeRoute, dependencies=[Depends(somebody)])

    async def endpoint(engine: TheEngine) -> None: ...

    with pytest.raises(TypeError, match="/somewhere: an EnvelopeRoute"):
        guarded.get("/somewhere", openapi_extra=responds(Receipt, limit=None))(endpoint)


def test_what_is_read_is_taken() -> None:
    made = router()

    @made.post("/students/{student_id}", openapi_extra=responds(Receipt, limit="query"))
    async def endpoint(
        engine: TheEngine,
        caller: Authenticated,
        request: Request,
        student_id: StudentId,
        body: OfStudent,
        cursor: Annotated[str | None, Query(max_length=5)] = None,
    ) -> None: ...

    (route,) = made.routes
    assert isinstance(route, EnvelopeRoute)
    assert route.limit == "query"


@pytest.mark.parametrize("extra", [None, {}, takes(Receipt), bare(Receipt)])
def test_a_route_that_asks_who_calls_says_how_often_they_may(extra: Any) -> None:
    async def endpoint(caller: Authenticated) -> None: ...

    with pytest.raises(TypeError, match=r"/somewhere: say how calls are limited"):
        router().get("/somewhere", openapi_extra=extra)(endpoint)
    for limit in ("query", None):  # None says that they are not limited
        router().get("/somewhere", openapi_extra={**(extra or {}), LIMIT: limit})(endpoint)


def test_a_limit_must_be_said_in_what_a_route_responds_with() -> None:
    with pytest.raises(TypeError, match="limit"):
        responds(Receipt)  # type: ignore[call-arg]


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> None:
    """What routes say here stays out of the document of the others."""
    monkeypatch.setattr(openapi, "_TYPES", {})


@pytest.mark.usefixtures("types")
def test_two_types_of_one_name_are_refused() -> None:
    """The document would show one of them for both."""
    other = msgspec.defstruct("NamedOnce", [("more", int)])
    responds(NamedOnce, limit=None)
    ways: list[Callable[[], Any]] = [
        lambda: responds(other, limit=None),
        lambda: responds(Receipt, limit=None, _202=other),
        lambda: takes(other),
        lambda: bare(other),
        lambda: openapi.any_of(Receipt, other),
        lambda: openapi.responds_openly(other),
    ]
    for way in ways:
        with pytest.raises(TypeError, match="Two types are called NamedOnce: give one of them another name"):
            way()
    responds(NamedOnce, limit=None)


@pytest.mark.usefixtures("types")
def test_a_body_and_a_response_of_one_name_are_refused() -> None:
    app, made = FastAPI(), router()
    response = msgspec.defstruct("OfStudent", [("student_id", str)], namespace={"__doc__": "Another."})

    @made.post("/somewhere", openapi_extra=responds(response, limit=None))
    async def endpoint(caller: Authenticated, body: OfStudent) -> None: ...

    app.include_router(made)
    with pytest.raises(TypeError, match="Two types are called OfStudent: give one of them another name"):
        openapi.document(app)


def test_a_caller_is_who_a_token_names() -> None:
    """The parameter is known by what gives it, not by its type alone."""

    async def endpoint(caller: Annotated[Caller, Depends(somebody)]) -> None: ...

    with pytest.raises(TypeError, match="/somewhere: an EnvelopeRoute"):
        router().get("/somewhere", openapi_extra=responds(Receipt, limit=None))(endpoint)


def test_a_refusal_names_the_parameter() -> None:
    async def endpoint(engine: TheEngine, trace_id: Annotated[str, Header()]) -> None: ...

    with pytest.raises(TypeError, match="it does not give trace_id"):
        router().get("/somewhere", openapi_extra=responds(Receipt, limit=None))(endpoint)


def test_a_limit_that_there_is_not_and_a_second_word_on_the_response_are_refused() -> None:
    async def endpoint(caller: Authenticated) -> None: ...

    with pytest.raises(TypeError, match="there is no limit 'nonsense'; there are query"):
        router().get("/somewhere", openapi_extra={LIMIT: "nonsense"})(endpoint)
    with pytest.raises(TypeError, match="not by response_model"):
        router().get("/somewhere", response_model=int, openapi_extra=responds(Receipt, limit=None))(endpoint)


def test_a_service_does_not_start_with_a_documented_call_that_is_no_envelope_route(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = APIRouter()

    @plain.get("/somewhere")
    async def endpoint() -> None: ...

    monkeypatch.setattr("mastery_engine.http.app.PARTS", (SimpleNamespace(router=plain),))
    with pytest.raises(TypeError, match="make the router as APIRouter"):
        create_app(Settings(data_dir=tmp_path))
