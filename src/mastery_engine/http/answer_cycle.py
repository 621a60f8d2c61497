"""One request and its answer on a connection: the head of an answer goes out with the body, in one write.

The server writes the head by itself, and then the body: two calls of the system, and two packets. Of an answer whose
length is said the body follows at once, so its head waits for it. A stream's head goes out as it comes.
"""

import re

from uvicorn._types import ASGISendEvent, HTTPResponseBodyEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

# The extension of ASGI's scope by which the application learns whether all of the body has come: ``is_here`` says so at
# any moment. It is no method of the cycle, which has the scope: what holds itself waits for a garbage collection.
WHOLE_BODY = "mastery_engine.whole_body"
PLAIN_NAMES = re.compile(rb"[a-z0-9-]+")
NO_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
LEAST_UNJOINED = 64 * 1024
FRAMING = frozenset({b"connection", b"transfer-encoding"})


class AnswerCycle(RequestResponseCycle):
    """The server's own cycle, which writes most answers at once."""

    _head = b""  # which waits for its body

    async def send(self, message: ASGISendEvent) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if message["type"] == "http.response.start":
            if self.response_started or self.disconnected or not self._holds(message):
                await super().send(message)
        elif self._head and not self.disconnected and message["type"] == "http.response.body":
            self._write(message)
        else:
            await super().send(message)

    def _holds(self, message: HTTPResponseStartEvent) -> bool:
        """Hold a head back if its body has a length; what is unusual in it is the server's to write, or to refuse."""
        headers = [*self.default_headers, *message.get("headers", ())]
        named = dict(headers)
        length = named.get(b"content-length")
        if (
            length is None
            or not FRAMING.isdisjoint(named)
            or not PLAIN_NAMES.fullmatch(b"".join(named))
            or NO_VALUE.search(b"".join([value for _, value in headers]))
        ):
            return False
        self.response_started, self.waiting_for_100_continue = True, False
        self.chunked_encoding, self.expected_content_length = False, int(length)
        lines = [b"%b: %b\r\n" % header for header in headers]
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        self._head = b"".join([STATUS_LINE[message["status"]], *lines, b"\r\n"])
        return True

    def _write(self, message: HTTPResponseBodyEvent) -> None:
        """The head with the first part of the body, which mostly is all of it."""
        head, self._head = self._head, b""
        body, more = message.get("body", b""), message.get("more_body", False)
        if self.scope["method"] == "HEAD":
            self.expected_content_length, body = 0, b""
        left = self.expected_content_length - len(body)
        if left < 0 or (left and not more):
            raise RuntimeError("The body of an answer has another length than its head says.")
        self.expected_content_length = left
        if len(body) < LEAST_UNJOINED:
            self.transport.write(head + body)
        else:  # a large one is not copied: until it is read, many may wait for the same bytes
            self.transport.writelines((head, body))
        if not more:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()
