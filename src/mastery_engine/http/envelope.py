"""The envelope of every answer: ``{"success", "data" or "error", "meta"}``."""

from typing import Any

import msgspec
from starlette.responses import Response

from mastery_engine import __version__
from mastery_engine.responses.times import MomentText

JSON = "application/json"


class Meta(msgspec.Struct, frozen=True):
    """The time of an answer, the version of the service, and the id of the request."""

    timestamp: MomentText
    request_id: str
    version: str = __version__


class Success(msgspec.Struct, frozen=True):
    """An answer to a call that worked."""

    success: bool
    data: Any
    meta: Meta


_encode = msgspec.json.Encoder().encode


def success(data: Any, meta: Meta, status: int = 200) -> Response:
    return Response(_encode(Success(True, data, meta)), status, media_type=JSON)
