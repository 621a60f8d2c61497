"""Whether the state component lets keys expire that were to last, which no sidecar tells of its settings.

A probe is written without a word on its expiry, and a note beside it as all that is to last is written. Components that
can say when a key expires say it of the probe. Redis cannot: there the probe is gone one day, and the note is not.
"""

from mastery_engine.backends.dapr.client import DaprState, Write
from mastery_engine.ports.backend import Danger

PROBE, NOTE = "expiry:probe", "expiry:note"

EXPIRES = Danger(
    "Dapr's state component gives every key an expiry: cohorts, rosters and the list of students would be gone one "
    "day. Take the expiry out of the component."
)
VANISHES = Danger(
    "Dapr's state component let go of a key that had no expiry. Where it has ttlInSeconds, take that out; where its "
    "store removes keys once its memory is full (Redis: maxmemory-policy), have it refuse writes instead: students "
    "would be gone without a word.",
    is_certain=False,
)


class ExpiryProbe:
    """Looks after the probe and its note. What has once vanished is told as long as this process lives."""

    def __init__(self, state: DaprState) -> None:
        self._state = state
        self._has_vanished = False

    async def dangers(self) -> list[Danger]:
        """Raises Unavailable."""
        probe, note = await self._state.read([PROBE, NOTE])
        self._has_vanished |= probe is None and note is not None
        if probe is None or note is None:
            await self._state.put_as_component_does(PROBE, 0)
            await self._state.change([Write(NOTE, 0, None, None)])
            (probe,) = await self._state.read([PROBE])
        if probe is not None and probe.expires:
            return [EXPIRES]
        return [VANISHES] if self._has_vanished else []
