"""Server-sent events as answers: what a line means, and when a stream that ended is opened again."""

from typing import Generic, TypeVar

import httpx
import msgspec

from mastery_client.call import JSON, REQUEST_ID
from mastery_client.errors import UnreadableAnswer

Of = TypeVar("Of", bound=msgspec.Struct)
QUIET = 60.0  # seconds without a line, heartbeats among them, after which a stream counts as broken


class EventLines(Generic[Of]):
    """Reads the lines of a stream, and of those that it is opened with again: what was told is not told twice."""

    def __init__(self, of: type[Of]) -> None:
        self._of = of
        self._told: str | None = None
        self.start()

    def start(self) -> None:
        """The stream begins, or begins again."""
        self._id: str | None = None
        self._data: list[str] = []

    def read(self, line: str) -> Of | None:
        """What a line completes, if it does. Raises UnreadableAnswer."""
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._data.append(value)
            elif name == "id":
                self._id = value
            return None
        data, self._data = "\n".join(self._data), []
        if not data or (self._id is not None and self._id == self._told):
            return None
        self._told = self._id
        try:
            return msgspec.json.decode(data, type=self._of)
        except msgspec.MsgspecError as error:
            message = f"An event of the stream is not what this client reads: {error}."
            raise UnreadableAnswer(message, status=200, request_id=None) from error


def check_stream(answer: httpx.Response, accept: str) -> None:
    """Raises UnreadableAnswer where an answer is no stream: something else answered in the engine's place."""
    kind = answer.headers.get("content-type", JSON).partition(";")[0]
    if kind != accept:
        message = f"{answer.url.host} answered {kind} and no stream of events."
        raise UnreadableAnswer(message, status=answer.status_code, request_id=answer.headers.get(REQUEST_ID))
