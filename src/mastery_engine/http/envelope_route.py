"""The route class: FastAPI's endpoint signatures at a fraction of their cost.

An endpoint is declared as in FastAPI: a Pydantic body, path and query parameters, the engine, the caller.
``EnvelopeRoute`` validates the body directly from the bytes, and sends the answer, a type of ``responses``, in the
envelope. Parts of FastAPI's signatures that it does not support are refused when the route is made.
"""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin

from fastapi import Request, params
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from starlette.responses import Response

from mastery_engine.auth.limits import PER_MINUTE, LimitKind
from mastery_engine.domain.faults import sentence
from mastery_engine.errors import InvalidInput
from mastery_engine.http.addresses import check_query, ids_of
from mastery_engine.http.body import parse
from mastery_engine.http.envelope import success
from mastery_engine.http.incoming import bearer, engine_of, json_body, note_student
from mastery_engine.http.openapi import LIMIT

SEVERAL = (list, tuple, set, frozenset, BaseModel)
PROBES = "operations"  # the tag of calls by probes, which may add query parameters of their own


class EnvelopeRoute(APIRoute):
    """A route that parses the call, calls the endpoint, and answers in the envelope.

    ``openapi_extra`` is made by ``http.openapi``: it has the type of the answer and the kind of the rate limit. Raises
    TypeError if a route with a caller has no limit stated, or has a parameter that this class does not support.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        extra = options.get("openapi_extra") or {}
        self.limit: LimitKind | None = extra.get(LIMIT)
        if not isinstance(options.get("response_model"), DefaultPlaceholder | None):
            raise TypeError(f"{path}: say what the route responds with by responds(…), not by response_model.")
        super().__init__(path, endpoint, **{**options, "response_model": None})
        self._check_parameters()
        self._check_limit(is_said=LIMIT in extra)
        self.respond = self.get_route_handler()

    def _check_parameters(self) -> None:
        dependant = self.dependant
        unread = [
            *[
                given.name or str(given.call)
                for given in dependant.dependencies
                if given.call not in (bearer, engine_of)
            ],
            *[field.name for field in (*dependant.header_params, *dependant.cookie_params, *dependant.body_params[1:])],
            *[body.name for body in dependant.body_params if not _is_json_model(body.field_info)],
            *[field.name for field in dependant.query_params if not _is_single(field.field_info.annotation)],
            dependant.response_param_name,
            dependant.background_tasks_param_name,
            dependant.http_connection_param_name,
            dependant.security_scopes_param_name,
        ]
        wrong = [name for name in unread if name]
        if wrong or not iscoroutinefunction(dependant.call):
            raise TypeError(
                f"{self.path}: an EnvelopeRoute awaits its endpoint and gives it path parameters, query parameters of "
                "one value, one Pydantic body, the request, the caller and the engine, and nothing else: "
                + (
                    f"it does not give {', '.join(wrong)}. Read headers and cookies from the request."
                    if wrong
                    else "make the endpoint async."
                )
            )

    def _check_limit(self, *, is_said: bool) -> None:
        if self.limit is not None and self.limit not in PER_MINUTE:
            raise TypeError(f"{self.path}: there is no limit {self.limit!r}; there are {', '.join(PER_MINUTE)}.")
        if not is_said and any(given.call is bearer for given in self.dependant.dependencies):
            raise TypeError(f"{self.path}: say how calls are limited, as in responds(…, limit='query'), or limit=None.")

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        dependant, status = self.dependant, self.status_code or 200
        endpoint = cast("Callable[..., Awaitable[Any]]", dependant.call)
        body = dependant.body_params[0] if dependant.body_params else None
        model = cast("type[BaseModel]", body.field_info.annotation) if body else None
        asks_who, asks_engine = _names(dependant, bearer), _names(dependant, engine_of)
        request_name = dependant.request_param_name
        queries = frozenset(field.alias for field in dependant.query_params)
        takes_anything = PROBES in self.tags

        async def handle(request: Request) -> Response:
            values: dict[str, Any] = {}
            for name in asks_who:
                values[name] = await bearer.caller(request, self.limit)
            for name in asks_engine:
                values[name] = engine_of(request)
            if request_name:
                values[request_name] = request
            if request.scope["query_string"] and not takes_anything:
                _check_query(request, queries)
            ids = ids_of(request.scope["path_params"])
            for field in dependant.path_params:
                values[field.name] = _parameter(field, ids)
            for field in dependant.query_params:
                values[field.name] = _parameter(field, request.query_params)
            if body is not None and model is not None:
                values[body.name] = parsed = parse(model, await json_body(request))
                note_student(request, getattr(parsed, "student_id", None))
            note_student(request, ids.get("student_id"))
            response = await endpoint(**values)
            return (
                response
                if isinstance(response, Response)
                else success(response, request.scope["state"]["meta"], status)
            )

        return handle


def _is_json_model(field: FieldInfo) -> bool:
    """Whether a parameter is the whole body as a JSON object, and not a form field or a part of the body."""
    is_whole = type(field) is params.Body and not field.embed
    return is_whole and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _is_single(annotation: Any) -> bool:
    """Whether a parameter has a single value, and is not a list or a model of several parameters."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return not any(
        isinstance(get_origin(kind) or kind, type) and issubclass(get_origin(kind) or kind, SEVERAL) for kind in kinds
    )


def _names(dependant: Dependant, call: Any) -> list[str]:
    """The names of an endpoint's parameters that depend on ``call``."""
    return [str(given.name) for given in dependant.dependencies if given.call is call]


def _check_query(request: Request, known: frozenset[str]) -> None:
    """Raises InvalidInput for a query parameter that is unknown, repeated or not UTF-8: such filters filter nothing."""
    check_query(request.scope["query_string"])
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            allowed = f"the parameters are {', '.join(sorted(known))}" if known else "it has no parameters"
            raise InvalidInput(f"This call has no query parameter {name[:100]!r}: {allowed}.", field=name[:100])
        if given.count(name) > 1:
            raise InvalidInput(f"The query parameter {name} may be given only once.", field=name)


def _parameter(field: Any, given: Any) -> Any:
    value = given.get(field.alias)
    if value is None and not field.field_info.is_required():
        return field.get_default()
    valid, faults = field.validate(value, {}, loc=(field.alias,))
    if faults:
        raise InvalidInput(f"{sentence(faults[0]['msg'], field.alias)}.", field=field.alias)
    return valid
