"""The part of the Redis store that keeps marks, and which partitions are flooded.

A mark is kept wherever documents are: on each shard of a Cluster. Redis may come back without its last writes; then
the mark came back with the documents, older, or the server is another than the one that was written to, and
``move_marks`` says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.errors import FellBack
from mastery_engine.ports.checkpoints import Marks

MARK_COPIES = 32

LIFE = "local life = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')\n"
READ_MARKS = LIFE + "return {life, redis.call('HGETALL', KEYS[1])}"
_MOVE = """
if life ~= ARGV[1] then return -1 end
for i = 2, #ARGV, 3 do
  if tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0') < tonumber(ARGV[i + 1]) then return tonumber(ARGV[i]) end
end
for i = 2, #ARGV, 3 do
  local known = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0')
  if known < tonumber(ARGV[i + 2]) then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
end
return -2
"""
MOVE_MARKS = LIFE + _MOVE
ANOTHER_LIFE, MOVED = -1, -2


class RedisMarks:
    """See ``Store``."""

    _client: Any
    _copies: int

    async def _each_copy(self, text: str, log_id: str, values: Sequence[Sequence[Any]]) -> list[Any]:
        """Run a script on each copy of the marks, with its own values."""
        names = [_marks(log_id, copy) for copy in range(self._copies)]
        if self._copies == 1:
            return [await self._client.execute_command("EVAL", text, 1, names[0], *values[0])]
        pipeline = self._client.pipeline()
        for name, own in zip(names, values, strict=True):
            pipeline.execute_command("EVAL", text, 1, name, *own)
        return list(await pipeline.execute())

    @or_unavailable
    async def marks(self, log_id: str) -> Marks:
        found = await self._each_copy(READ_MARKS, log_id, [[]] * self._copies)
        copies = [dict(zip(map(int, flat[::2]), map(int, flat[1::2]), strict=True)) for _, flat in found]
        partitions = {partition for copy in copies for partition in copy}
        lowest = {partition: min(copy.get(partition, 0) for copy in copies) for partition in partitions}
        return Marks(lowest, ",".join(life.decode() for life, _ in found))

    @or_unavailable
    async def move_marks(self, log_id: str, starts: Mapping[int, int], ends: Mapping[int, int], life: str) -> None:
        moves = [part for partition, end in ends.items() for part in (partition, starts.get(partition, 0), end)]
        lives = life.split(",")
        if len(lives) != self._copies:
            raise FellBack("The store's servers are others than before: the log is read again from the mark.")
        for outcome in await self._each_copy(MOVE_MARKS, log_id, [[one, *moves] for one in lives]):
            if outcome == ANOTHER_LIFE:
                raise FellBack("Redis was restarted or failed over: the log is read again from the mark.")
            if outcome != MOVED:
                raise FellBack(f"Redis holds less of partition {outcome} than before: the log is read again.")

    @or_unavailable
    async def floods(self, log_id: str) -> set[int]:
        return {int(partition) for partition in await self._client.smembers(_floods(log_id))}

    @or_unavailable
    async def set_flood(self, log_id: str, partition: int, *, flooded: bool) -> None:
        if flooded:
            await self._client.sadd(_floods(log_id), partition)
        else:
            await self._client.srem(_floods(log_id), partition)


def _marks(log_id: str, copy: int) -> str:
    return f"mastery:marks:{{{copy}}}:{log_id}"


def _floods(log_id: str) -> str:
    return f"mastery:floods:{log_id}"
