"""Errors as HTTP answers: the status of each, in the envelope or as an RFC 9457 document."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mastery_engine.errors import (
    Busy,
    Conflict,
    CourseRequired,
    Forbidden,
    Gone,
    InvalidInput,
    MasteryError,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from mastery_engine.http.envelope import JSON, Meta

STATUS: dict[type[MasteryError], int] = {
    InvalidInput: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Gone: 410,
    TooLarge: 413,
    RateLimited: 429,
    Busy: 503,
    Unavailable: 503,
}
CODE = {
    400: "VALIDATION_ERROR",
    401: "AUTH_ERROR",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    409: "CONFLICT",
    410: "GONE",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMITED",
    431: "HEADERS_TOO_LARGE",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
PROBLEM_JSON = "application/problem+json"


class UnsupportedMediaType(MasteryError):
    """The content type of the body is not JSON, or its encoding is not gzip. Only HTTP knows it, so it stands here."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class BodyLate(MasteryError):
    """The body came too slowly. Only HTTP knows it, so it stands here."""

    code = "REQUEST_TIMEOUT"


def problem(error: Exception, meta: Meta, *, accept: str, details: Mapping[str, Any] | None = None) -> Response:
    """The answer to a call that failed. An unexpected error reveals nothing about itself."""
    if isinstance(error, HTTPException):
        message = error.detail if error.status_code < 500 else HTTPStatus(error.status_code).phrase
        return respond(error.status_code, str(message), meta, accept=accept, headers=error.headers)
    if not isinstance(error, MasteryError):
        message = "The service failed because of an internal error; its log has the error under this request_id."
        return respond(500, message, meta, accept=accept)
    status = status_of(error)
    headers = headers_of(error) | ({"WWW-Authenticate": error.challenge} if isinstance(error, Unauthenticated) else {})
    details = {**({"field": error.field} if error.field else {}), **(details or {})}
    code = None
    if isinstance(error, CourseRequired):
        code, details = error.code, {**details, "courses": error.courses}
    return respond(status, error.message, meta, accept=accept, headers=headers, details=details, code=code)


def headers_of(error: MasteryError) -> dict[str, str]:
    """What the headers say of an error: when to try again, if that may help, and that the connection ends."""
    if isinstance(error, BodyLate):
        return {"Connection": "close"}
    return {"Retry-After": str(error.retry_after)} if isinstance(error, Busy | RateLimited | Unavailable) else {}


def status_of(error: MasteryError) -> int:
    if isinstance(error, UnsupportedMediaType):
        return 415
    if isinstance(error, BodyLate):
        return 408
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def respond(
    status: int,
    message: str,
    meta: Meta,
    *,
    accept: str,
    headers: Mapping[str, str] | None = None,
    details: Mapping[str, Any] | None = None,
    code: str | None = None,
) -> Response:
    """An error's answer; its ``code`` is that of the status where it has none of its own."""
    code = code or CODE.get(status, "INTERNAL_ERROR" if status >= 500 else "VALIDATION_ERROR")
    if PROBLEM_JSON in accept:
        document = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": message,
            "code": code,
            "request_id": meta.request_id,
            **(details or {}),
        }
        return Response(msgspec.json.encode(document), status, headers, media_type=PROBLEM_JSON)
    envelope = {
        "success": False,
        "error": {"code": code, "message": message, "details": details or {}},
        "meta": meta,
    }
    return Response(msgspec.json.encode(envelope), status, headers, media_type=JSON)
