"""How often a call is sent, and how long is waited between: no I/O, so that both clients go by the same rules.

``exchange`` is a generator. It yields what is to be done, ``Send`` or ``Wait``, is told what came of it, and returns
the answer or raises the error.
"""

import random
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

import httpx

from mastery_client.call import Sendable, failure_of
from mastery_client.errors import MasteryError, TimedOut, TransportError

UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)  # nothing reached the engine
BAD_ADDRESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
PASSING = (408, 502, 503, 504)  # it may work in a moment
UNAUTHENTICATED, TOO_MANY = 401, 429


@dataclass(frozen=True)
class Send:
    """Send the call, with a new token where ``refresh`` says so. Tell what came: an answer, or an error of httpx."""

    refresh: bool = False


@dataclass(frozen=True)
class Wait:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Retries:
    """How often a call is sent again, and how long is waited at first and at most, in seconds.

    Each wait is up to twice as long as the one before, by chance between half of that and all of it, so that many
    clients do not come back at once. The engine's ``Retry-After`` counts where it is longer; where it is longer than
    ``longest``, the error is raised at once, and says so.
    """

    times: int = 4
    first: float = 0.25
    longest: float = 30.0

    def pause(self, attempt: int, asked: float | None) -> float:
        """The pause after an attempt, counted from 1."""
        usual: float = min(self.longest, self.first * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
        return max(usual, asked or 0.0)


Came: TypeAlias = httpx.Response | httpx.RequestError | None


def exchange(sent: Sendable[Any], retries: Retries, *, refreshes: bool) -> Generator[Send | Wait, Came, httpx.Response]:
    """The answer to a call. Raises ApiError and TransportError.

    A call is sent again if it may work then, and if it is certain that it did not take effect (it was not sent, or
    refused by a limit) or harmless that it takes effect again. ``refreshes`` says that a token that is no longer valid
    can be had anew: that is tried once.
    """
    may_refresh, refresh = refreshes, False
    attempt = 0
    while True:
        attempt += 1
        came = yield Send(refresh)
        refresh = False
        if isinstance(came, httpx.Response):
            if came.is_success:
                return came
            if came.status_code == UNAUTHENTICATED and may_refresh:
                may_refresh, refresh = False, True
                continue
            asked = retry_after(came)
            error: MasteryError = failure_of(came, asked)
            again = came.status_code == TOO_MANY or (came.status_code in PASSING and sent.repeats)
        else:
            assert came is not None
            asked = None
            error = no_answer(came, attempt)
            again = not isinstance(came, BAD_ADDRESS) and (isinstance(came, UNSENT) or sent.repeats)
        if not again or attempt > retries.times or (asked or 0.0) > retries.longest:
            raise error from (came if isinstance(came, Exception) else None)
        yield Wait(retries.pause(attempt, asked))


def no_answer(error: httpx.RequestError, attempts: int) -> TransportError:
    """An error of httpx in the words of this client."""
    where = f"{error.request.url.scheme}://{error.request.url.netloc.decode()}"
    tried = f" after {attempts} attempts" if attempts > 1 else ""
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"{where} did not answer in time{tried}: {_why(error)}.", attempts=attempts)
    if isinstance(error, BAD_ADDRESS):
        return TransportError(f"The call cannot be sent to {where!r}: {_why(error)}.", attempts=attempts)
    return TransportError(f"{where} did not answer{tried}: {_why(error)}.", attempts=attempts)


def _why(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def retry_after(answer: httpx.Response) -> float | None:
    """After how many seconds the engine, or a proxy before it, asks to come again; None where it says nothing."""
    said = answer.headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    now = answer.headers.get("date")
    since = parsedate_to_datetime(now) if now else datetime.now(UTC)  # noqa: TID251  the clock of who waits
    return max(0.0, (at.astimezone(UTC) - since.astimezone(UTC)).total_seconds())
