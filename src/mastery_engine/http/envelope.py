"""The envelope of every answer: ``{"success", "data" or "error", "meta"}``."""

from typing import Any

import msgspec
from starlette.responses import Response

from mastery_engine import __version__
from mastery_engine.responses.times import MomentText

JSON = "application/json"


class Meta(msgspec.Struct, frozen=True, gc=False):
    """The time of an answer, the version of the service, and the id of the request."""

    timestamp: MomentText
    request_id: str
    version: str = __version__


class Success(msgspec.Struct, frozen=True, gc=False):
    """An answer to a call that worked."""

    success: bool
    data: Any
    meta: Meta


_IS_JSON = (b"content-type", JSON.encode())
_encode = msgspec.json.Encoder().encode


class JsonResponse(Response):
    """An answer in JSON, whose two headers need no working out."""

    media_type = JSON

    def __init__(self, body: bytes, status: int) -> None:
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), _IS_JSON]


def success(data: Any, meta: Meta, status: int = 200) -> Response:
    return JsonResponse(_encode(Success(True, data, meta)), status)
