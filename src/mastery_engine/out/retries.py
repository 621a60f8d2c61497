"""When what could not be delivered is tried again: with growing pauses, for 24 hours."""

from datetime import UTC
from email.utils import parsedate_to_datetime

from mastery_engine.domain.moments import DAY, MINUTE, SECOND, Micros, moment_of

FIRST_PAUSE: Micros = 5 * SECOND
GROWTH = 3
LONGEST_PAUSE: Micros = 60 * MINUTE
JITTER = 0.2  # either way, so that what failed together is not tried together
TRIED_FOR: Micros = DAY
LEAST_ATTEMPTS = 3  # also of what waited all day behind another


def next_attempt(*, attempts: int, queued: Micros, now: Micros, wait: Micros, chance: float) -> Micros | None:
    """When to try again after ``attempts`` failures; None to give up.

    ``wait`` is how long the receiver asked to be left alone, or 0, ``chance`` is in [0, 1). The pauses are 5 s, 15 s,
    45 s and so on up to an hour, and the last attempt is made 24 hours after it was queued.
    """
    ends = queued + TRIED_FOR
    if now >= ends and attempts >= LEAST_ATTEMPTS:
        return None
    pause = min(FIRST_PAUSE * GROWTH ** min(attempts - 1, 10), LONGEST_PAUSE)
    pause = max(int(pause * (1 - JITTER + 2 * JITTER * chance)), min(wait, LONGEST_PAUSE))
    return min(now + pause, ends) if now < ends else now + pause


def asked_wait(retry_after: str | None, now: Micros) -> Micros:
    """How long a receiver asks to be left alone, by the header Retry-After (RFC 9110); 0 where it does not say."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:10]), LONGEST_PAUSE // SECOND) * SECOND
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0
    return max(0, min(moment_of(when if when.tzinfo else when.replace(tzinfo=UTC)) - now, LONGEST_PAUSE))
