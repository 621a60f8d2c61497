"""A gradebook that takes scores as strictly as any (AGS 2.0): by token, type, form, and timestamps that rise."""

import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.lti_platform import ForeignPlatform

Json = dict[str, Any]
SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope"
ENDPOINT = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
FIELDS = {"userId", "scoreGiven", "scoreMaximum", "timestamp", "activityProgress", "gradingProgress"}
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
Column = tuple[str, str]  # its number and the person


@dataclass
class StrictGradebook:
    """Its columns; what tests change of it stands here. ``answers`` are statuses that it gives instead of an answer."""

    platform: ForeignPlatform
    url: str = ""
    taken: dict[Column, list[Json]] = field(default_factory=lambda: defaultdict(list))
    repeats: list[Json] = field(default_factory=list)
    refused: list[tuple[int, Json]] = field(default_factory=list)
    made: list[Json] = field(default_factory=list)
    answers: int | None = None
    asked: int = 0

    def column(self, number: int = 1) -> str:
        return f"{self.url}/columns/{number}?type_id=5"

    def claims(self, claims: Json, *columns: int) -> Json:
        """What a launch says of it: one column, or only where columns are."""
        said: Json = {"lineitems": f"{self.url}/columns", "scope": [f"{SCOPE}/score", f"{SCOPE}/lineitem"]}
        if columns:
            said["lineitem"] = self.column(columns[0])
        return {**claims, ENDPOINT: said}

    def given(self, sub: str, column: int = 1) -> list[int]:
        """A person's scores in their order."""
        return [one["scoreGiven"] for one in self.taken[str(column), sub]]

    async def score(self, request: Request) -> Response:
        self.asked += 1
        if self.answers is not None:
            return Response(status_code=self.answers)
        body = await request.json()
        status = self._fault(request, body)
        if status is not None:
            self.refused.append((status, body))
            return Response(status_code=status)
        before = self.taken[request.path_params["number"], body["userId"]]
        if body in before[-1:]:
            self.repeats.append(body)
            return Response(status_code=204)
        if before and _moment(body) <= _moment(before[-1]):
            self.refused.append((409, body))
            return Response(status_code=409)
        before.append(body)
        return Response(status_code=204)

    def _fault(self, request: Request, body: Json) -> int | None:
        bearer = request.headers.get("authorization", "").partition(" ")[2]
        if not self.platform.conf.validate_token(bearer, [f"{SCOPE}/score"]):
            return 401
        if request.headers["content-type"] != "application/vnd.ims.lis.v1.score+json":
            return 415
        if request.query_params.get("type_id") != "5":
            return 404
        whole = body.keys() == FIELDS and STAMP.fullmatch(body["timestamp"]) and body["scoreMaximum"] == 100
        return None if whole and isinstance(body["scoreGiven"], int) and 0 <= body["scoreGiven"] <= 100 else 400

    async def columns(self, request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse(self.made)
        self.made.append({**await request.json(), "id": self.column(2)})
        return JSONResponse(self.made[-1], 201)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/columns", self.columns, methods=["GET", "POST"]),
                Route("/columns/{number}/scores", self.score, methods=["POST"]),
            ]
        )


def _moment(body: Json) -> datetime:
    return datetime.fromisoformat(body["timestamp"])


@contextmanager
def gradebook_at(platform: ForeignPlatform) -> Iterator[StrictGradebook]:
    """A gradebook on a free port, of a platform that gives tokens."""
    gradebook = StrictGradebook(platform)
    server = uvicorn.Server(uvicorn.Config(gradebook.app(), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    gradebook.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield gradebook
    server.should_exit = True
    thread.join(10)
