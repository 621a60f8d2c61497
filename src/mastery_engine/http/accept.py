"""What a caller would rather have, of the media types that an address has (RFC 9110, 12.5.1)."""

from collections.abc import Sequence

MOST_RANGES = 50


def preferred(accept: str, offered: Sequence[str]) -> str:
    """The media type of ``offered`` that the header wants most; of equals the first, and so where it wants none."""
    weights = [_weight(accept, one) for one in offered]
    return offered[weights.index(max(weights))]


def _weight(accept: str, offered: str) -> float:
    """How much the header wants a media type: by the range that names it most closely; without a header 1."""
    if not accept.strip():
        return 1.0
    closest, weight = 0, 0.0
    for part in accept.split(",")[:MOST_RANGES]:
        name, *parameters = [one.strip().lower() for one in part.split(";")]
        kind = offered.partition("/")[0]
        closeness = 3 if name == offered else 2 if name == f"{kind}/*" else 1 if name == "*/*" else 0
        if closeness > closest:
            closest, weight = closeness, quality(parameters)
    return weight


def quality(parameters: Sequence[str]) -> float:
    """The weight among the parameters of what a header names: 1 where it gives none, 0 where it is no number."""
    for one in parameters:
        name, _, value = one.partition("=")
        if name.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
