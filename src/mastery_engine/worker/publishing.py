"""What of a batch is to be told, and what was told before: for each partition, results below an offset went out."""

from collections.abc import Mapping, Sequence

from mastery_engine.domain.events.traceparent import trace_of
from mastery_engine.domain.results import Pending, result_id
from mastery_engine.ports.event_log import Batch, Record


def parts(batch: Batch, published_before: Mapping[int, int]) -> list[Batch]:
    """What was told before, and what was not, apart: else a result would name causes of both."""
    told = {partition: published_before.get(partition, 0) for partition in batch.ends}
    early = {partition: start for partition, start in batch.starts.items() if start < told[partition]}
    late = {partition: end for partition, end in batch.ends.items() if end > told[partition]}
    if not early or not late:
        return [batch]
    records: dict[bool, list[Record]] = {True: [], False: []}
    for record in batch.records:
        records[record.offset < told[record.partition]].append(record)
    return [
        Batch(tuple(records[True]), early, {one: min(batch.ends[one], told[one]) for one in early}),
        Batch(tuple(records[False]), {one: max(batch.starts[one], told[one]) for one in late}, late),
    ]


def is_due(partition: int, offset: int, batch: Batch, published_before: Mapping[int, int]) -> bool:
    """Whether a result belongs to this batch, and is not of a time whose results went out before."""
    start = max(batch.starts.get(partition, 0), published_before.get(partition, 0))
    return start <= offset < batch.ends.get(partition, 0)


def traces(due: Sequence[Pending], records: Sequence[Record]) -> dict[str, str]:
    """By the result's id, the trace that the last event which caused it came with."""
    offsets = {pending.offset for pending in due}
    last = {(record.partition, record.offset): record for record in records if record.offset in offsets}
    found: dict[str, str] = {}
    for pending in due:
        record = last.get((pending.partition, pending.offset))
        trace = None if record is None else trace_of(record.headers, record.value)
        if trace is not None:
            found[result_id(pending.result)] = trace
    return found
