"""What a call is, apart from how it is sent: where it goes, what its answer is, and whether it may be sent again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec

from mastery_client.errors import ApiError, UnreadableAnswer, error_class
from mastery_client.response import RowList, with_request_id

JSON = "application/json"
REQUEST_ID = "x-request-id"
Of = TypeVar("Of")


class _Meta(msgspec.Struct, frozen=True):
    """What an answer says of itself."""

    request_id: str | None = None


class _Success(msgspec.Struct, frozen=True):
    """The envelope of an answer; its data are read by their own type."""

    data: msgspec.Raw
    meta: _Meta = _Meta()


class _Problem(msgspec.Struct, frozen=True):
    """What the engine says was wrong."""

    code: str
    message: str
    details: dict[str, Any] = {}


class _Failure(msgspec.Struct, frozen=True):
    """The envelope of an error."""

    error: _Problem
    meta: _Meta = _Meta()


@dataclass(frozen=True)
class Call(Generic[Of]):
    """One call of the OpenAPI document, named as its operation id.

    ``reads`` gives the type of the answer by status, where it has the envelope or is JSON by itself (``bare``); else
    the answer is text or bytes of the type ``accept``. ``row`` is the type of the rows of a list. ``repeats`` says that
    the call may be sent again where it is not known whether it took effect; ``keyed`` that an Idempotency-Key makes it
    so.
    """

    name: str
    method: str
    path: str
    reads: Mapping[int, Any] = field(default_factory=dict)
    row: type[Any] | None = None
    bare: bool = False
    keyed: bool = False
    repeats: bool = False
    accept: str = JSON
    content_type: str = JSON

    def request(
        self,
        path: tuple[str, ...] = (),
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        key: str | None = None,
    ) -> "Sendable[Of]":
        """What is to be sent. It has a key of its own where it needs one, the same however often it is sent."""
        parts = iter(path)
        address = "/".join(
            quote(next(parts), safe="") + one.partition("}")[2] if one.startswith("{") else one
            for one in self.path.split("/")
        )
        headers = {"Accept": self.accept}
        if self.keyed:
            headers["Idempotency-Key"] = key or str(uuid4())
        content = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        if content is not None:
            headers["Content-Type"] = self.content_type
        params = {name: _written(value) for name, value in (query or {}).items() if value is not None}
        return Sendable(self, address, params, headers, content)

    def read(self, answer: httpx.Response) -> Of:
        """The answer as its type. Raises UnreadableAnswer."""
        request_id = answer.headers.get(REQUEST_ID)
        if not self.reads:
            found: Any = answer.content if self.accept.startswith("image/png") else answer.text
            return found  # type: ignore[no-any-return]
        kind = self.reads.get(answer.status_code) or next(iter(self.reads.values()))
        try:
            data = answer.content if self.bare else msgspec.json.decode(answer.content, type=_Success).data
            found = msgspec.json.decode(data, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            message = f"The answer to {self.method} {self.path} is not what {self.name} answers: {error}."
            raise UnreadableAnswer(message, status=answer.status_code, request_id=request_id) from error
        if self.row is not None:
            found = RowList(found, self.row)
        with_request_id(found, request_id)
        return found  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Sendable(Generic[Of]):
    """A call with all that it says, ready to be sent as often as it takes."""

    call: Call[Of]
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes | None

    @property
    def repeats(self) -> bool:
        """Whether it may be sent again where it is not known whether it took effect."""
        return self.call.repeats or "Idempotency-Key" in self.headers


def failure_of(answer: httpx.Response, retry_after: float | None) -> ApiError:
    """The error that an answer says; one of a proxy on the way, which has no envelope, goes by its status."""
    request_id = answer.headers.get(REQUEST_ID)
    status = answer.status_code
    try:
        said = msgspec.json.decode(answer.content, type=_Failure)
        problem, request_id = said.error, request_id or said.meta.request_id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        leads = f" to {answer.headers['location']}" if "location" in answer.headers else ""
        problem = _Problem(f"HTTP_{status}", f"{answer.url.host} answered {status} {answer.reason_phrase}{leads}.")
    return error_class(status, problem.code)(
        problem.message,
        code=problem.code,
        status=status,
        request_id=request_id,
        details=problem.details,
        retry_after=retry_after,
    )


def _written(value: Any) -> str:
    """A value as an address has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(msgspec.to_builtins(value))
