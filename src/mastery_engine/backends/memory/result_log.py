"""Results in memory."""

from collections.abc import Mapping, Sequence

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.results import Result, result_id
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.result_log import NO_TRACES


class MemoryResultLog:
    """See ``ResultLog``. ``published`` holds what went out, by id."""

    def __init__(self) -> None:
        self.published: dict[str, Result] = {}

    async def publish(self, results: Sequence[Result], traceparents: Mapping[str, str] = NO_TRACES) -> None:
        del traceparents
        for result in results:
            self.published.setdefault(result_id(result), result)

    async def erase(self, key: StudentKey) -> int:
        return self._keep(
            {
                name: result
                for name, result in self.published.items()
                if (result.tenant, result.student_id) != (key.tenant, key.student_id)
            }
        )

    async def purge(self, before: Micros) -> int:
        return self._keep({name: result for name, result in self.published.items() if result.at >= before})

    def _keep(self, published: dict[str, Result]) -> int:
        """Keep only these results; how many went."""
        removed = len(self.published) - len(published)
        self.published = published
        return removed
