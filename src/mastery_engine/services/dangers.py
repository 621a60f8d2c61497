"""The dangerous settings of the servers: told in the log as they appear, shown by readiness, and refused at a start."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from mastery_engine.errors import StartRefused, Unavailable
from mastery_engine.ports.backend import Connection, Danger

logger = logging.getLogger(__name__)

PATIENCE_S = 3.0
AGAIN_S = 60.0  # settings may change while the servers run
REACH_AGAIN_S = 1.0


class Dangers:
    """The dangers of each dependency by name, as they were when it was last reached."""

    def __init__(self, connections: Mapping[str, Connection]) -> None:
        self._connections = connections
        self._known: dict[str, list[Danger]] = {}

    def of(self, name: str) -> Sequence[Danger]:
        """Empty for a dependency that was not reached yet."""
        return self._known.get(name, ())

    async def refuse(self) -> None:
        """Raises StartRefused, which names all dangers that are certain. A server that is away is no reason."""
        answers = await asyncio.gather(*map(self._ask, self._connections))
        certain = [danger.message for dangers in answers for danger in dangers or () if danger.is_certain]
        if certain:
            raise StartRefused(
                f"The servers are not safe for production. {' '.join(dict.fromkeys(certain))} To start all the same "
                "set ALLOW_UNSAFE_SERVERS to true."
            )

    async def keep_looking(self) -> None:
        """Look at all servers every minute, each second while one is away, until cancelled. What is new is logged."""
        while True:
            all_reached = await self.look()
            await asyncio.sleep(AGAIN_S if all_reached else REACH_AGAIN_S)

    async def look(self) -> bool:
        """Look at all servers now, and log what is new; whether all could be reached."""
        before = {danger for known in self._known.values() for danger in known}
        answers = await asyncio.gather(*map(self._ask, self._connections))
        self._known |= {
            name: dangers for name, dangers in zip(self._connections, answers, strict=True) if dangers is not None
        }
        for danger in dict.fromkeys(danger for known in self._known.values() for danger in known):
            if danger not in before:
                logger.warning(danger.message)
        return None not in answers

    async def _ask(self, name: str) -> list[Danger] | None:
        """None where the servers cannot be reached: readiness and the worker say why."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._connections[name].dangers()
        except (TimeoutError, Unavailable, StartRefused):
            return None
