"""Checkpoints in Redis, and which partitions are flooded.

A checkpoint is kept wherever documents are: on each shard of a Cluster. Redis may come back without its last writes;
then the checkpoint came back with the documents, older, or the server is another than the one that was written to, and
``move`` says so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio import RedisCluster

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import Client, remove_matching
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.errors import FellBack
from mastery_engine.ports.checkpoints import Checkpoint

CLUSTER_COPIES = 32  # so many hash tags fall on every shard

_EPOCH = "local epoch = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')\n"
READ = _EPOCH + "return {epoch, redis.call('HGETALL', KEYS[1])}"
_MOVE = """
if epoch ~= ARGV[1] then return -1 end
for i = 2, #ARGV, 3 do
  if tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0') < tonumber(ARGV[i + 1]) then return tonumber(ARGV[i]) end
end
for i = 2, #ARGV, 3 do
  local known = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0')
  if known < tonumber(ARGV[i + 2]) then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
end
return -2
"""
MOVE = _EPOCH + _MOVE
ANOTHER_EPOCH, MOVED = -1, -2


class RedisCheckpoints:
    """See ``Checkpoints``. The epoch of a server is its run id; that of a Cluster has one for each copy."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async
        self._copies = CLUSTER_COPIES if isinstance(client, RedisCluster) else 1

    async def _each_copy(self, script: str, log_id: str, values: Sequence[Sequence[Any]]) -> list[Any]:
        """Run a script on each copy of the checkpoint, with its own values."""
        copies = [names.checkpoint(log_id, copy) for copy in range(self._copies)]
        if self._copies == 1:
            return [await self._client.execute_command("EVAL", script, 1, copies[0], *values[0])]
        pipeline = self._client.pipeline()
        for name, own in zip(copies, values, strict=True):
            pipeline.execute_command("EVAL", script, 1, name, *own)
        return list(await pipeline.execute())

    @or_unavailable
    async def read(self, log_id: str) -> Checkpoint:
        answers = await self._each_copy(READ, log_id, [[]] * self._copies)
        copies = [dict(zip(map(int, flat[::2]), map(int, flat[1::2]), strict=True)) for _, flat in answers]
        partitions = {partition for copy in copies for partition in copy}
        lowest = {partition: min(copy.get(partition, 0) for copy in copies) for partition in partitions}
        return Checkpoint(lowest, ",".join(epoch.decode() for epoch, _ in answers))

    @or_unavailable
    async def move(self, log_id: str, starts: Mapping[int, int], ends: Mapping[int, int], server_epoch: str) -> None:
        moves = [part for partition, end in ends.items() for part in (partition, starts.get(partition, 0), end)]
        epochs = server_epoch.split(",")
        if len(epochs) != self._copies:
            raise FellBack("The store's servers are others than before: the log is read again from the checkpoint.")
        for outcome in await self._each_copy(MOVE, log_id, [[epoch, *moves] for epoch in epochs]):
            if outcome == ANOTHER_EPOCH:
                raise FellBack("Redis was restarted or failed over: the log is read again from the checkpoint.")
            if outcome != MOVED:
                raise FellBack(f"Redis holds less of partition {outcome} than before: the log is read again.")

    @or_unavailable
    async def clear(self) -> None:
        await remove_matching(self._client, names.CHECKPOINTS)

    @or_unavailable
    async def floods(self, log_id: str) -> set[int]:
        return {int(partition) for partition in await self._client.smembers(names.floods(log_id))}

    @or_unavailable
    async def set_flood(self, log_id: str, partition: int, *, flooded: bool) -> None:
        if flooded:
            await self._client.sadd(names.floods(log_id), partition)
        else:
            await self._client.srem(names.floods(log_id), partition)
