"""Idempotency keys in Dapr's state, which lets them expire."""

from collections.abc import Mapping

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Fold, Replacement
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.ports.idempotency import KEY_LIFE


class DaprIdempotency:
    """See ``IdempotencyStore``."""

    def __init__(self, state: DaprState) -> None:
        self._state = state

    async def claim(self, name: str, body: str, at: Micros) -> str:
        return (await self.claim_all({name: body}, at))[name] or body

    async def claim_all(self, values: Mapping[str, str | None], at: Micros) -> dict[str, str | None]:
        """A state component may remove what has expired late, or never: the moment is beside the value."""
        first: dict[str, str | None] = {}

        def fold(name: str, value: str | None) -> Fold:
            def claimed(stored: tuple[str, Micros] | None) -> Replacement | None:
                is_held = stored is not None and stored[1] > at - KEY_LIFE
                first[name] = stored[0] if stored is not None and is_held else value
                return None if is_held or value is None else Replacement((value, at), KEY_LIFE // SECOND)

            return claimed

        await self._state.fold({keys.idempotency(name): fold(name, value) for name, value in values.items()})
        return first

    async def purge(self, _before: Micros) -> int:
        return 0
