"""Bytes that are not an HTTP request are answered in the envelope, too.

The server's parser rejects them before there is a request, so the application never sees them.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mastery_engine.clock import Clock, NewId
from mastery_engine.domain.moments import rfc3339
from mastery_engine.http.envelope import Meta
from mastery_engine.http.problems import respond

MESSAGE = "This is not an HTTP request that can be read: check the method, the address and the headers."


def protocol(clock: Clock, new_id: NewId) -> type[HttpToolsProtocol]:
    """The server's own protocol class, with the answer in the envelope."""

    class EnvelopeProtocol(HttpToolsProtocol):
        """Answers what cannot be read in the envelope."""

        def send_400_response(self, msg: str) -> None:
            """Answer and close the connection, since it is unknown where another request would begin."""
            del msg  # the library's message, which is not shown
            meta = Meta(rfc3339(clock()), new_id())
            answer = respond(400, MESSAGE, meta, accept="", headers={"X-Request-Id": meta.request_id})
            lines = [b"HTTP/1.1 400 Bad Request", *(b": ".join(header) for header in answer.raw_headers)]
            self.transport.write(b"\r\n".join([*lines, b"connection: close", b"", bytes(answer.body)]))
            self.transport.close()

    return EnvelopeProtocol
