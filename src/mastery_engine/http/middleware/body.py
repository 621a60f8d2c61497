"""Bodies as they come in: bounded in size and time, and unpacked. A call has no place among others while it waits."""

import asyncio
import re
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.types import Message, Receive, Scope

from mastery_engine.errors import Busy, InvalidInput, TooLarge
from mastery_engine.http.answer_cycle import WHOLE_BODY
from mastery_engine.http.problems import BodyLate, UnsupportedMediaType

MAX_BODY = 1024 * 1024
MAX_FORM = 16 * 1024  # of senders whom nobody knows yet
MAX_NOTE = 64 * 1024  # the form of a note: a letter may take twelve bytes of it
MAX_COURSE = 8 * 1024 * 1024  # a course may have 20,000 items
MAX_ROSTER = 64 * 1024 * 1024  # a school with all its classes, packed
MAX_ATTACHED = 8 * 1024 * 1024  # statements of xAPI with their attachments
MAX_LAUNCH = 128 * 1024  # a signed message of a learning platform
NOTES = re.compile("/dashboard/students/[^/]+/notes")
PAGES, LAUNCHES, COURSE, ROSTER = "/dashboard", "/lti/", re.compile("/courses/[^/]+"), "/rosters/oneroster"
STATEMENTS = frozenset({"/xapi/statements", "/xapi/1.0.3/statements"})
MOST_HELD = 2 * MAX_ROSTER  # of all bodies that are coming in or being worked on
MOST_MEMBERS = 100
FIRST_S = 5.0
LEAST_BYTES_PER_S = 1024
MOST_AHEAD_S = 15.0  # how long a body that came quickly may then pause
LONGEST_S = 600.0
NOT_WHOLE: Mapping[str, bool] = MappingProxyType({"is_here": False})
GZIP = frozenset({"gzip", "x-gzip"})
AS_SENT = frozenset({"", "identity"})
PACKING = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


def largest_body(method: str, path: str) -> int:
    """How many bytes the body of a call may have, packed and unpacked."""
    if path.startswith(PAGES):
        return MAX_NOTE if NOTES.fullmatch(path) else MAX_FORM
    if path.startswith(LAUNCHES):
        return MAX_LAUNCH
    if path == ROSTER:
        return MAX_ROSTER
    if path in STATEMENTS:
        return MAX_ATTACHED
    return MAX_COURSE if method == "PUT" and COURSE.fullmatch(path) else MAX_BODY


class Places:
    """The calls that may be under way at once, and the bytes of their bodies."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0
        self.held = 0

    def take(self) -> None:
        """Raises Busy if all are taken."""
        if self.taken >= self._most:
            raise Busy(f"More than {self._most} calls are under way at once: try again in a second.")
        self.taken += 1


class Place:
    """The place of one call, which may be left and taken again; a call that is not counted needs none."""

    def __init__(self, places: Places, *, is_counted: bool) -> None:
        self._places = places
        self._is_counted = is_counted
        self._is_taken = False
        self._held = 0

    def hold(self, size: int) -> None:
        """Count so many bytes more of the call's body. Raises Busy if all bodies together have too many."""
        self._held += size
        self._places.held += size
        if self._places.held > MOST_HELD:
            raise Busy("Too many large bodies are under way at once: try again in a second.")

    def end(self) -> None:
        """The call has ended: leave the place, and let go of the body."""
        self.leave()
        self._places.held -= self._held
        self._held = 0

    def take(self) -> None:
        """Raises Busy if all places are taken."""
        if self._is_counted and not self._is_taken:
            self._places.take()
            self._is_taken = True

    def leave(self) -> None:
        if self._is_taken:
            self._places.taken -= 1
            self._is_taken = False


def receive_body(scope: Scope, receive: Receive, place: Place, most: int = MAX_BODY) -> Receive:
    """``receive`` for the application.

    A body has at most ``most`` bytes, packed and unpacked. It brings at least 1 KB a second after its first 5 s, and
    takes at most 10 minutes; while it comes, the call leaves its place. ``Content-Encoding: gzip`` is unpacked, and
    then no longer in the headers.
    Raises TooLarge and UnsupportedMediaType; the result raises TooLarge, BodyLate, InvalidInput and Busy.
    """
    encodings = []
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and (len(value) > len(str(most)) or int(value) > most):
            raise too_large(most)
        if name == b"content-encoding":
            encodings.append(value.decode("latin-1"))
    whole = scope.get("extensions", {}).get(WHOLE_BODY)
    body = _IncomingBody(receive, place, most, whole or NOT_WHOLE)
    encoding = ", ".join(encodings).strip().lower()
    if encoding in AS_SENT:
        return body.receive
    if encoding not in GZIP:
        raise UnsupportedMediaType(f"Content-Encoding must be gzip, or be left out; it is {encoding[:100]!r}.")
    scope["headers"] = [(name, value) for name, value in scope["headers"] if name not in PACKING]
    return _Unpacked(body.receive, most).receive


def too_large(most: int) -> TooLarge:
    """The error for a body over its limit, packed or unpacked."""
    return TooLarge(f"The body has more than the {most:,} bytes that are allowed: send less, or send it in parts.")


class _IncomingBody:
    """The messages of a body, as the server gives them."""

    def __init__(self, receive: Receive, place: Place, most: int, whole: Mapping[str, bool]) -> None:
        """``whole["is_here"]`` says whether all of the body has come to this machine."""
        self._receive = receive
        self._place = place
        self._most = most
        self._whole = whole
        self._bytes = 0
        self._deadline = self._end = 0.0
        self._is_complete = False

    async def receive(self) -> Message:
        if self._is_complete:
            return await self._receive()
        if self._whole["is_here"]:
            return self._taken(await self._receive())
        now = asyncio.get_running_loop().time()
        if not self._end:
            self._deadline, self._end = now + FIRST_S, now + LONGEST_S
        self._place.leave()
        try:
            async with asyncio.timeout_at(min(self._deadline, self._end)):
                message = await self._receive()
        except TimeoutError:
            raise self._late() from None
        return self._taken(message)

    def _taken(self, message: Message) -> Message:
        """The message, once it is counted. Raises TooLarge and Busy."""
        arrived = len(message.get("body", b""))
        self._bytes += arrived
        if self._bytes > self._most:
            raise too_large(self._most)
        if arrived:
            self._place.hold(arrived)
        if message.get("more_body", False):
            now = asyncio.get_running_loop().time()
            self._deadline = min(self._deadline + arrived / LEAST_BYTES_PER_S, now + MOST_AHEAD_S)
        else:
            self._is_complete = True
            self._place.take()
        return message

    def _late(self) -> BodyLate:
        if self._deadline >= self._end:
            return BodyLate(f"The body did not arrive within {LONGEST_S / 60:.0f} minutes: send it in parts.")
        return BodyLate(
            f"The body came too slowly: after the first {FIRST_S:.0f} seconds it must bring at least "
            f"{LEAST_BYTES_PER_S} bytes a second, and pause for at most {MOST_AHEAD_S:.0f} seconds. Send it again."
        )


class _Unpacked:
    """The body of a call with ``Content-Encoding: gzip``, as one message."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._is_read = False

    async def receive(self) -> Message:
        if self._is_read:
            return await self._receive()
        packed = bytearray()
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            packed += message.get("body", b"")
            if not message.get("more_body", False):
                break
        self._is_read = True
        return {"type": "http.request", "body": unpacked(bytes(packed), self._most), "more_body": False}


def unpacked(packed: bytes, most: int = MAX_BODY) -> bytes:
    """What a gzip body holds (RFC 1952: one or several members). Raises InvalidInput and TooLarge."""
    body = bytearray()
    if not packed:
        return b""
    for _ in range(MOST_MEMBERS):
        unpacker: Any = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            body += unpacker.decompress(packed, most + 1 - len(body))
        except zlib.error:
            raise InvalidInput(
                "The body is not gzip, as its Content-Encoding says: pack it, or leave the header out."
            ) from None
        if len(body) > most:
            raise too_large(most)
        if not unpacker.eof:
            raise InvalidInput("The gzip body ends too early: send it again.")
        packed = unpacker.unused_data
        if not packed:
            return bytes(body)
    raise InvalidInput(f"The gzip body has more than {MOST_MEMBERS} members: pack it as a whole.")
