"""What is no HTTP request, or has a method that HTTP does not know, is answered in the envelope as well.

The server's parser gives up on it before there is a request, so no layer of the application sees it.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mastery_engine.domain.moments import rfc3339
from mastery_engine.http.envelope import Meta
from mastery_engine.http.problems import respond
from mastery_engine.wiring import new_id, system_clock

MESSAGE = "This is no HTTP request that can be read: check its method, its address and its headers."


class Protocol(HttpToolsProtocol):
    """The server's own, but for that answer."""

    def send_400_response(self, msg: str) -> None:
        """Answer, and close: what follows on the connection cannot be told apart."""
        del msg  # the library's words
        meta = Meta(rfc3339(system_clock()), new_id())
        answer = respond(400, MESSAGE, meta, accept="", headers={"X-Request-Id": meta.request_id})
        lines = [b"HTTP/1.1 400 Bad Request", *(b": ".join(header) for header in answer.raw_headers)]
        self.transport.write(b"\r\n".join([*lines, b"connection: close", b"", bytes(answer.body)]))
        self.transport.close()
