"""One connection before there is a request: how long it may take, how much it may send, and what cannot be read.

The application sees a request once its head is complete. What comes before that is bounded here: the number of
connections, the size of a head and its time, the requests that wait behind one another, what is sent after the answer,
and a reader that does not read. Refusals are answers in the envelope, as everywhere.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any, NoReturn, cast
from urllib.parse import unquote

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from mastery_engine.auth.limits import neighbourhood
from mastery_engine.clock import Clock, NewId
from mastery_engine.domain.moments import rfc3339
from mastery_engine.http.answer_cycle import WHOLE_BODY, AnswerCycle
from mastery_engine.http.connection_limits import ConnectionLimits
from mastery_engine.http.envelope import Meta
from mastery_engine.http.idle_connections import IdleConnections
from mastery_engine.http.problems import respond
from mastery_engine.http.proxies import parsed
from mastery_engine.http.unread_answers import UnreadAnswers
from mastery_engine.telemetry.metrics import Metrics

MAX_HEAD = 32 * 1024
SLICE = 4 * 1024  # as much of a head is read at once: where it exceeds its limit is known so exactly
HEAD_S = 10.0
KEEP_ALIVE_S = 75
MOST_WAITING = 16  # requests behind the one that is being answered
LINGER_S = 5.0
MOST_AFTER_ANSWER = 4 * 1024 * 1024
UNREAD_S = 30.0
REFUSED_S = 1.0
MOST_REFUSED = 50  # that are open at once until their answer was read; they use descriptors too


class ConnectionRefusal(msgspec.Struct, frozen=True):
    """Why a connection gets no further; ``reason`` is the metric's label."""

    status: int
    reason: str
    message: str


UNREADABLE = ConnectionRefusal(
    400, "unreadable", "This is not an HTTP request that can be read: check the method, the address and the headers."
)
NOT_ONE_HOST = ConnectionRefusal(
    400, "unreadable", "A request needs exactly one Host header, with a name or an address and perhaps a port."
)
OTHER_VERSION = ConnectionRefusal(400, "unreadable", "This server speaks HTTP/1.1 and HTTP/1.0.")
OTHER_CODING = ConnectionRefusal(
    400, "unreadable", "Transfer-Encoding must be chunked, or be left out; a packed body has Content-Encoding: gzip."
)
STOPPING = ConnectionRefusal(503, "stopping", "This server stops: send the request again, and another one answers.")
TOO_LARGE_HEAD = ConnectionRefusal(
    431, "large_head", f"The address and headers have more than {MAX_HEAD // 1024} KiB together: send fewer of them."
)
TOO_LARGE_TRAILERS = ConnectionRefusal(
    431, "large_head", f"More than {MAX_HEAD // 1024} KiB came between two parts of the body: send no trailers."
)
LATE_HEAD = ConnectionRefusal(
    408, "late_head", f"The headers did not arrive within {HEAD_S:.0f} seconds: send the request again."
)
TOO_MANY_WAITING = ConnectionRefusal(
    503, "pipeline", f"More than {MOST_WAITING} requests wait on this connection: wait for their answers first."
)
HOST = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
VERSIONS = frozenset({"1.1", "1.0"})


class EdgeServices(msgspec.Struct, frozen=True):
    """What all connections of a server share."""

    limits: ConnectionLimits
    clock: Clock
    new_id: NewId
    metrics: Metrics
    idle: IdleConnections = msgspec.field(default_factory=IdleConnections)
    unread: UnreadAnswers = msgspec.field(default_factory=UnreadAnswers)


class _Stopped(Exception):
    """Stops the parser, which knows no other way."""


class _GentleTransport:
    """A transport whose ``close`` is another: closed at once, an answer is lost with what has come and is not read."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write, self.writelines = transport.write, transport.writelines
        self.write_eof, self.can_write_eof = transport.write_eof, transport.can_write_eof
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading
        self.is_closing, self.abort = transport.is_closing, transport.abort
        self.get_extra_info = transport.get_extra_info
        self.close = close
        self.close_at_once = transport.close


class ClientConnection(HttpToolsProtocol):
    """The server's own protocol, with bounds; see the module."""

    refused_open = 0  # of all connections of the process

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        shared: EdgeServices,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._shared = shared
        self._sender = ""
        self._host = b""
        self._is_admitted = False
        self._refusal: ConnectionRefusal | None = None
        self._is_refused = False  # nothing that comes is read any more
        self._is_ending = False  # our side is closed
        self._in_head = self._in_body = False
        self._head_bytes = 0  # since the last request, or since the head began
        self._chunk = 0
        self._between_parts = 0  # bytes of a body's framing since its last byte
        self._after_answer = 0
        self._whole: dict[object, object] = {}  # what the application of the request that is being read sees of it
        self._unsent = 0  # when it was last looked whether the reader reads
        self._active: RequestResponseCycle | None = None  # the request that is being answered
        self._newest: RequestResponseCycle | None = None  # the request that is being read, or was read last
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._gentle = _GentleTransport(transport, self._close)
        super().connection_made(cast("asyncio.Transport", self._gentle))
        address = self.client[0] if self.client is not None else ""
        if self.client is not None:  # a socket of both stacks writes IPv4 inside IPv6
            address = str(parsed(address) or address)
            self.client = (address, self.client[1])
        self._sender = neighbourhood(address)
        why = self._shared.limits.admit(address)
        if why is None:
            self._is_admitted = True
            self._shared.limits.waits(self._sender, self)
            self._shared.metrics.connections.set(self._shared.limits.open)
            self._start("head", HEAD_S, self._head_is_late)
        elif ClientConnection.refused_open < MOST_REFUSED:
            ClientConnection.refused_open += 1
            self._is_refused = True
            self._start("refused", REFUSED_S, self._end_refused)
            self._answer(ConnectionRefusal(503, "too_many", why))
            self._close()
        else:
            self._is_refused = True
            self._shared.metrics.connections_refused.labels("too_many").inc()
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._end_refused()
        for name in list(self._timers):
            self._cancel(name)
        super().connection_lost(exc)
        self._shared.idle.end(self)
        self._shared.unread.let_go(self._sender, self)
        self.pipeline.clear()
        if self._active is not None:  # the server only tells the newest request
            self._active.disconnected = True
            self._active.message_event.set()
        self._let_go()

    def _let_go(self) -> None:
        """Hold nothing that holds this connection, so that it is freed now and waits for no garbage collection.

        Collections are rare here (``tune_gc``): of senders who come and go, 10,000 connections waited for one.
        """
        self._active = self._newest = None
        self.cycle = self.scope = self.flow = self.transport = self._gentle = None  # type: ignore[assignment]

    def _leave(self) -> None:
        if self._is_admitted:
            self._is_admitted = False
            self._shared.limits.leave(self._sender, self)
            self._shared.metrics.connections.set(self._shared.limits.open)

    def give_way(self) -> None:
        """End at once, for another sender's connection."""
        self._leave()
        self._shared.metrics.connections_refused.labels("gave_way").inc()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._shared.idle.end(self)
        start = 0
        while len(data) - start > SLICE and not (self._in_body or self._is_refused):
            self._read(data[start : start + SLICE])
            start += SLICE
        self._read(data[start:] if start else data)

    def _read(self, data: bytes) -> None:
        self._chunk = len(data)
        if self._is_refused:
            self._count_unwanted()
            return
        if self._in_body:
            self._between_parts += self._chunk
        else:
            self._head_bytes += self._chunk
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # to a protocol that is not spoken here: it is answered as a call
        except httptools.HttpParserError:  # not logged, since anybody could fill the log with it; there is a metric
            self._refuse(self._refusal or UNREADABLE)
        self._check_progress()

    def _check_progress(self) -> None:
        """What was read so far may not be a request yet, nor all of one."""
        if self._is_refused:
            return
        if self._in_body:
            self._check_body()
        elif self._in_head or self._head_bytes:
            if self._head_bytes > MAX_HEAD:
                self._refuse(TOO_LARGE_HEAD)
            elif "head" not in self._timers:
                self._start("head", HEAD_S, self._head_is_late)
        elif self._is_answered():  # late bytes of a body have ended the wait
            self._shared.idle.begin(self, self.loop, self.timeout_keep_alive)

    def _check_body(self) -> None:
        """A body may have framing, but not without end; and not much of it may come after the answer."""
        if self._is_answered():
            self._count_unwanted()
        elif self._between_parts > MAX_HEAD:
            self._refuse(TOO_LARGE_TRAILERS)

    def _count_unwanted(self) -> None:
        self._after_answer += self._chunk
        if self._after_answer > MOST_AFTER_ANSWER:
            self.transport.abort()

    # The parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        read = max(self._head_bytes + SLICE, self._chunk)  # the head may have begun in bytes that were counted before
        if read > MAX_HEAD and max(self._head_bytes - self._chunk, self._head_length()) > MAX_HEAD:
            self._stop(TOO_LARGE_HEAD)
        self._check_head()
        if len(self.pipeline) >= MOST_WAITING:
            self._stop(TOO_MANY_WAITING)
        self._in_head, self._in_body = False, True
        self._head_bytes = self._between_parts = self._after_answer = 0
        self._cancel("head")
        self._begin_cycle()
        self._newest = self.cycle
        self.headers = []  # for the trailers, which are dropped
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False  # what would follow is of a protocol that is not spoken here

    def _begin_cycle(self) -> None:
        """The request has its head: it is answered now, or after those before it on this connection."""
        scope, parser, url = self.scope, self.parser, httptools.parse_url(self.url)
        version, path = parser.get_http_version(), url.path.decode("ascii")
        scope["method"], scope["http_version"] = parser.get_method().decode("ascii"), version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"], scope["query_string"] = url.path, url.query or b""
        waits = self.flow.write_paused or (self._newest is not None and not self._newest.response_complete)
        self.cycle = AnswerCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self._whole = {"is_here": False}
        scope["extensions"] = {WHOLE_BODY: self._whole}
        if waits:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        else:
            self._start_asgi_task(self.cycle, self.app)

    def on_body(self, body: bytes) -> None:
        self._between_parts = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._whole["is_here"] = True
        self._cancel("linger")
        super().on_message_complete()
        self._note_work()

    def _check_head(self) -> None:
        """What others may read in another way than this server does is not read at all."""
        version, hosts = self.parser.get_http_version(), 0
        if version not in VERSIONS:
            self._stop(OTHER_VERSION)
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
                if value != self._host and HOST.fullmatch(value) is None:
                    self._stop(NOT_ONE_HOST)
                self._host = value
            elif name == b"transfer-encoding" and value.lower() != b"chunked":
                self._stop(OTHER_CODING)
        if hosts != 1 and (hosts or version == "1.1"):
            self._stop(NOT_ONE_HOST)

    def _head_length(self) -> int:
        """The bytes of a head, at least: blanks around values are not counted."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _stop(self, refusal: ConnectionRefusal) -> NoReturn:
        self._refusal = refusal
        raise _Stopped

    # Answers

    def _note_work(self) -> None:
        """Say that this connection waits for the engine, and not for its sender, if that is so."""
        active = self._active
        if not self._is_admitted or self.flow.write_paused or active is None or active.more_body:
            return
        if not (active.response_complete or active.disconnected):
            self._shared.limits.works(self._sender, self)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._active = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._go_on()
        if not self._is_answered():
            return
        self._shared.idle.begin(self, self.loop, self.timeout_keep_alive)
        if self._is_admitted:
            self._shared.limits.waits(self._sender, self)
        if self.cycle.body:
            self.cycle.body = bytearray()  # nobody reads it any more, and its sender may stay
        if self._refusal is not None:
            self._finish(self._refusal)
        elif self._in_body and not self._is_refused:
            self._start("linger", LINGER_S, self.transport.abort)

    def _go_on(self) -> None:
        """Work on the next request that waits, if there is one, and if the answer to the last one is being read."""
        if self.pipeline and self.flow.write_paused:
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def _refuse(self, refusal: ConnectionRefusal) -> None:
        """Answer and close: it is unknown where another request would begin. Earlier requests are answered first."""
        self._is_refused = True
        self._refusal = refusal
        if self._in_body and self._newest is not None and not self._newest.response_complete:
            self._give_up(self._newest)
        if self._is_at_rest() and not self.pipeline:
            self._finish(refusal)

    def _is_at_rest(self) -> bool:
        """Whether no request is being answered; some may wait until the last answer is read."""
        return self._active is None or self._active.response_complete or self._active.disconnected

    def _is_answered(self) -> bool:
        """Whether every request that was read has its answer."""
        return self._newest is not None and self._newest.response_complete and not self.pipeline

    def _give_up(self, cycle: RequestResponseCycle) -> None:
        """The request whose body cannot be read is not answered by the application."""
        cycle.disconnected = True
        cycle.message_event.set()
        waiting = [entry for entry in self.pipeline if entry[0] is not cycle]
        self.pipeline.clear()
        self.pipeline.extend(waiting)
        if cycle is not self._active:
            cycle.response_complete = True

    def _finish(self, refusal: ConnectionRefusal) -> None:
        has_begun = self._active is not None and self._active.response_started and not self._active.response_complete
        if not has_begun:
            self._answer(refusal)
        self._close()

    def _close(self) -> None:
        """Close the connection; while the sender is still sending, just our side of it, for some seconds."""
        gentle = self._gentle
        is_sending = self._in_body or self._is_refused
        if not is_sending or self._is_ending or gentle.is_closing() or not gentle.can_write_eof():
            gentle.close_at_once()
            if gentle.get_write_buffer_size():  # the transport waits for its reader, however long
                self._watch_reader()
            return
        self._is_refused = self._is_ending = True
        gentle.write_eof()
        self._start("linger", LINGER_S, gentle.abort)

    def _answer(self, refusal: ConnectionRefusal) -> None:
        shared = self._shared
        shared.metrics.connections_refused.labels(refusal.reason).inc()
        meta = Meta(rfc3339(shared.clock()), shared.new_id())
        headers = {"X-Request-Id": meta.request_id} | ({"Retry-After": "1"} if refusal.status == 503 else {})
        answer = respond(refusal.status, refusal.message, meta, accept="", headers=headers)
        lines = [STATUS_LINE[refusal.status].rstrip(), *(b": ".join(header) for header in answer.raw_headers)]
        self.transport.write(b"\r\n".join([*lines, b"connection: close", b"", bytes(answer.body)]))

    def shutdown(self) -> None:
        """The server stops: whoever is still sending is answered now."""
        if self._in_body and not self._is_refused and not self._is_answered():
            self._refuse(STOPPING)
        super().shutdown()

    # Time

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._is_admitted:
            self._shared.limits.waits(self._sender, self)
        self._watch_reader()

    @property
    def unread(self) -> int:
        """How many bytes of answers wait for the reader."""
        return self._gentle.get_write_buffer_size()

    def _watch_reader(self) -> None:
        self._unsent = self.unread
        self._shared.unread.hold(self._sender, self, self._unsent)
        self._start("unread", UNREAD_S, self._check_reader)

    def _check_reader(self) -> None:
        """Go on with whoever reads, even if slowly: a large answer takes a phone longer than this."""
        if self.unread < self._unsent:
            self._watch_reader()
        else:
            self.transport.abort()

    def eof_received(self) -> None:
        """The sender ends its side, so this one ends once what is left was read: see that it is read."""
        super().eof_received()
        if self.unread:
            self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.transport.is_closing():  # what is left has to be read too
            return
        self._cancel("unread")
        self._shared.unread.let_go(self._sender, self)
        if self.pipeline and self._is_at_rest():
            self._go_on()
        self._note_work()

    def _head_is_late(self) -> None:
        self._cancel("head")
        if self._in_head or self._head_bytes:
            self._refuse(LATE_HEAD)
        else:
            self.transport.close()

    def _end_refused(self) -> None:
        if "refused" in self._timers:
            self._cancel("refused")
            ClientConnection.refused_open -= 1
            self.transport.abort()

    def _start(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        self._cancel(name)
        self._timers[name] = self.loop.call_later(seconds, then)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
