"""Which results of a batch to publish, and which were published before: those below an offset of each partition."""

from collections.abc import Mapping, Sequence

from mastery_engine.domain.events.traceparent import TRACEPARENT, trace_of
from mastery_engine.domain.results import Pending, result_id
from mastery_engine.ports.event_log import Batch, Record

NAMES, NAMED = frozenset((TRACEPARENT, f"ce_{TRACEPARENT}")), TRACEPARENT.encode()


def parts(batch: Batch, published_before: Mapping[int, int]) -> list[Batch]:
    """The batch split into what was published before and what was not: else a result would name causes of both."""
    published = {partition: published_before.get(partition, 0) for partition in batch.ends}
    early = {partition: start for partition, start in batch.starts.items() if start < published[partition]}
    late = {partition: end for partition, end in batch.ends.items() if end > published[partition]}
    if not early or not late:
        return [batch]
    records: dict[bool, list[Record]] = {True: [], False: []}
    for record in batch.records:
        records[record.offset < published[record.partition]].append(record)
    return [
        Batch(tuple(records[True]), early, {one: min(batch.ends[one], published[one]) for one in early}),
        Batch(tuple(records[False]), {one: max(batch.starts[one], published[one]) for one in late}, late),
    ]


def is_due(partition: int, offset: int, batch: Batch, published_before: Mapping[int, int]) -> bool:
    """Whether a result belongs to this batch and was not published before."""
    start = max(batch.starts.get(partition, 0), published_before.get(partition, 0))
    return start <= offset < batch.ends.get(partition, 0)


def traces(due: Sequence[Pending], records: Sequence[Record]) -> dict[str, str]:
    """For each result's id, the trace of the last event that caused it."""
    named = {
        (record.partition, record.offset): record
        for record in records
        if NAMED in (record.value or b"") or (record.headers and not NAMES.isdisjoint(record.headers))
    }
    found: dict[str, str] = {}
    for pending in due if named else ():  # nearly always there is no trace at all
        record = named.get((pending.partition, pending.offset))
        trace = None if record is None else trace_of(record.headers, record.value)
        if trace is not None:
            found[result_id(pending.result)] = trace
    return found
