"""The figures of the last hour over all replicas, minute by minute, for the operator's page."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import msgspec

from mastery_engine.domain.moments import MINUTE, SECOND, Micros, rfc3339

MINUTES = 60
SILENT_AFTER: Micros = 45 * SECOND  # three tellings that did not come


class MinuteFigures(msgspec.Struct, frozen=True, array_like=True):
    """What one replica did in a minute, which is counted from the epoch; ``seconds`` of it are told here.

    ``latency`` is its histogram (see ``Totals``), ``lag`` the most that waited for each consumer group, without those
    that could not be asked. ``works`` says whether it worked the log.
    """

    minute: int
    seconds: float
    calls: int
    refused: int
    failed: int
    folded: int
    dead: int
    latency: tuple[int, ...]
    lag: dict[str, int]
    works: bool


class ReplicaFigures(msgspec.Struct, frozen=True):
    """A process's last hour as it is kept; ``told`` is when it last wrote it. A later engine may add fields.

    One that has ``stopped`` did so in order: its silence is no news.
    """

    replica: str
    host: str
    version: str
    serves: bool
    since: Micros
    told: Micros
    minutes: tuple[MinuteFigures, ...] = ()
    stopped: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ReplicaFigures).decode


def pack_figures(figures: ReplicaFigures) -> bytes:
    return _encode(figures)


def unpack_figures(packed: bytes) -> ReplicaFigures | None:
    """None for what another version wrote otherwise."""
    try:
        return _decode(packed)
    except msgspec.MsgspecError:
        return None


class MinuteOfAll(msgspec.Struct, frozen=True):
    """A minute over all replicas that told of it; without any, all else is null.

    Rates are by second, latencies in milliseconds (null without calls; the greatest bound where it took longer), and
    ``lag`` is by consumer group.
    """

    at: str
    replicas: int
    calls: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    client_errors: float | None = None
    server_errors: float | None = None
    events: float | None = None
    dead_letters: int | None = None
    lag: dict[str, int] = {}


class ReplicaLine(msgspec.Struct, frozen=True):
    """A process that told within the hour; ``silent`` where it does no more, and had not ``stopped`` in order."""

    host: str
    version: str
    serves: bool
    works: bool
    since: str
    told: str
    silent: bool
    stopped: bool


class HourOfFigures(msgspec.Struct, frozen=True):
    """The last hour, oldest minute first, the running one last.

    ``is_whole`` is false where the store did not answer: then it is of the process that answers alone.
    """

    as_of: str
    is_whole: bool
    telling: int
    replicas: list[ReplicaLine]
    minutes: list[MinuteOfAll]


def hour_of(
    told: Sequence[ReplicaFigures], now: Micros, bounds: Sequence[float], *, is_whole: bool = True
) -> HourOfFigures:
    """The hour that ends with the running minute; ``bounds`` are those of the histograms, in seconds."""
    current = now // MINUTE
    by_minute: dict[int, list[MinuteFigures]] = {}
    for replica in told:
        for figures in replica.minutes:
            by_minute.setdefault(figures.minute, []).append(figures)
    lines = [_line(one, now) for one in sorted(told, key=lambda one: (one.host, one.since))]
    return HourOfFigures(
        as_of=rfc3339(now),
        is_whole=is_whole,
        telling=sum(not line.silent and not line.stopped for line in lines),
        replicas=lines,
        minutes=[
            _minute_of_all(minute, by_minute.get(minute, []), bounds)
            for minute in range(current - MINUTES + 1, current + 1)
        ],
    )


def _line(replica: ReplicaFigures, now: Micros) -> ReplicaLine:
    return ReplicaLine(
        replica.host,
        replica.version,
        replica.serves,
        bool(replica.minutes) and replica.minutes[-1].works,
        rfc3339(replica.since),
        rfc3339(replica.told),
        now - replica.told > SILENT_AFTER and not replica.stopped,
        replica.stopped,
    )


def _minute_of_all(minute: int, told: Sequence[MinuteFigures], bounds: Sequence[float]) -> MinuteOfAll:
    at = rfc3339(minute * MINUTE)
    if not told:
        return MinuteOfAll(at, 0)
    seconds = max(1.0, *(one.seconds for one in told))
    alike = [one.latency for one in told if len(one.latency) == len(bounds) + 1]  # another version may have others
    latency = [sum(counts) for counts in zip(*alike, strict=True)]
    p50, p95, p99 = (quantile(share, latency, bounds) for share in (0.5, 0.95, 0.99))
    return MinuteOfAll(
        at=at,
        replicas=len(told),
        calls=round(sum(one.calls for one in told) / seconds, 3),
        p50=p50,
        p95=p95,
        p99=p99,
        client_errors=round(sum(one.refused for one in told) / seconds, 3),
        server_errors=round(sum(one.failed for one in told) / seconds, 3),
        events=round(sum(one.folded for one in told) / seconds, 3),
        dead_letters=sum(one.dead for one in told),
        lag=most_lag(one.lag for one in told),
    )


def most_lag(told: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The most that waited for each group: every replica measures the whole lag, so it is no sum."""
    most: dict[str, int] = {}
    for lag in told:
        for group, number in lag.items():
            most[group] = max(most.get(group, 0), number)
    return most


def quantile(share: float, counts: Sequence[int], bounds: Sequence[float]) -> float | None:
    """A quantile of a histogram in milliseconds, by a straight line within its bucket; None without calls.

    As Prometheus's ``histogram_quantile``: what lies above the last bound is given as that.
    """
    total = sum(counts)
    if not total:
        return None
    rank = share * total
    reached = list(accumulate(counts))
    place = next(number for number, up_to in enumerate(reached) if up_to >= rank and up_to)
    if place >= len(bounds):
        return bounds[-1] * 1_000
    low = bounds[place - 1] if place else 0.0
    before = reached[place - 1] if place else 0
    return round((low + (bounds[place] - low) * (rank - before) / counts[place]) * 1_000, 2)
