"""Idempotency keys in Dapr's state, which lets them expire."""

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Replacement
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.ports.idempotency import KEY_LIFE


class DaprIdempotency:
    """See ``IdempotencyStore``."""

    def __init__(self, state: DaprState) -> None:
        self._state = state

    async def claim(self, name: str, body: str, at: Micros) -> str:
        """A state component may remove what has expired late, or never: the moment is beside the body."""
        first = body

        def fold(stored: tuple[str, Micros] | None) -> Replacement | None:
            nonlocal first
            if stored is not None and stored[1] > at - KEY_LIFE:
                first = stored[0]
                return None
            first = body
            return Replacement((body, at), KEY_LIFE // SECOND)

        await self._state.fold({keys.idempotency(name): fold})
        return first

    async def purge(self, _before: Micros) -> int:
        return 0
