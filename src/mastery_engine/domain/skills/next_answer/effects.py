"""Effects: by how much answers differ from what levels say, after the same past.

An effect is the mean of such residuals in log-odds, shrunk towards none by its evidence. All stand in one table, by a
hash of what the answer is to and of what came before it.
"""

from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from mastery_engine.domain.skills.next_answer.state import RECENT

SHRINK = 2.0  # the prior precision of an effect: its standard deviation is 0.7 log-odds
MOST_EFFECTS = 2**21
MOST_INFORMATION = 256.0  # of an effect: beyond, older evidence gives way to newer
# Kinds of past: after the last answer, after the last item, after the last skills, after the last two answers, again,
# lately, practised, skills lately, in a row; then after each of the answers before the last one, which are summed up.
SINGLE, EARLIER = 9, RECENT - 1
KEYS = SINGLE + EARLIER

Keys: TypeAlias = NDArray[np.uint32]
Parts: TypeAlias = NDArray[np.uint64]
Doubles: TypeAlias = NDArray[np.floating[Any]]

_KINDS = (np.arange(1, SINGLE + 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)).tolist()
_FIRST, _SECOND, _LAST = (np.uint64(n) for n in (0xD6E8FEB86659FD93, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB))
_HALF = np.uint64(32)


class Effects(msgspec.Struct, frozen=True, array_like=True):
    """The table: keys in rising order (32 bits), and of each the sums of residuals and of information (16 bits)."""

    keys: bytes = b""
    residuals: bytes = b""
    information: bytes = b""


class EffectTable:
    """Effects ready to be looked up."""

    def __init__(self, effects: Effects) -> None:
        """Raises ValueError if the three are not of one length, or not in order."""
        self.keys: Keys = np.frombuffer(effects.keys, "<u4")
        self.residuals = np.frombuffer(effects.residuals, "<f2").astype(np.float32)
        self.information = np.frombuffer(effects.information, "<f2").astype(np.float32)
        if not len(self.keys) == len(self.residuals) == len(self.information):
            raise ValueError("keys, residuals and information of effects must be equally many")
        if not (np.isfinite(self.residuals).all() and np.isfinite(self.information).all()):
            raise ValueError("every effect must be a finite number")
        if (self.information < 0.0).any() or (self.keys[1:] <= self.keys[:-1]).any():
            raise ValueError("effects must be in the order of their keys, with information of 0 or more")

    def features(self, keys: Keys) -> Doubles:
        """Of each row of keys the effects with their support: means, and how far information goes beyond the prior."""
        number = len(keys)
        found = np.zeros((number, 2 * (SINGLE + 1)))
        if not len(self.keys):
            return found
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        has = (self.keys[places] == keys) & (keys != 0)
        residuals, information = self.residuals[places] * has, self.information[places] * has
        precision = information[:, :SINGLE] + SHRINK
        found[:, : 2 * SINGLE : 2] = residuals[:, :SINGLE] / precision
        found[:, 1 : 2 * SINGLE : 2] = information[:, :SINGLE] / precision
        summed = information[:, SINGLE:].sum(1)
        found[:, -2] = residuals[:, SINGLE:].sum(1) / (summed + 2.0 * SHRINK)
        found[:, -1] = summed / (summed + 2.0 * SHRINK)
        return found


def keys_of(parts: Parts) -> Keys:
    """The keys of the effects that belong to an answer, 0 where there is no such past.

    A row of ``parts`` holds: item, combined skills, those before with their result, again, lately, practised, skills
    lately, in a row, then ``RECENT`` answers from the last one back, 0 where there were fewer.
    """
    item, combined, combined_before, again, lately, practised, skills_lately, in_a_row = parts[:, :8].T
    last, before = parts[:, 8], parts[:, 9]
    keys = np.empty((len(parts), KEYS), np.uint32)
    singles: list[tuple[Any, Any]] = [
        (item, last),
        (item, last >> np.uint64(1)),
        (combined, combined_before),
        (item, last << _HALF | before),
        (item, again),
        (np.zeros_like(item), lately),
        (combined, practised),
        (combined, skills_lately),
        (combined, in_a_row),
    ]
    for kind, (of, after) in enumerate(singles):
        keys[:, kind] = _mixed(_KINDS[kind], of, after)
    earlier = parts[:, 9:]
    keys[:, SINGLE:] = _mixed(_KINDS[SINGLE], item[:, None], earlier)
    keys[:, SINGLE:][earlier == 0] = 0
    return keys


def _mixed(kind: int, of: Any, after: Any) -> Any:
    """32 bits that depend on all of the bits of both (as in wyhash: products, folded)."""
    mixed = (of ^ np.uint64(kind)) * _FIRST ^ after * _SECOND
    mixed = (mixed ^ mixed >> _HALF) * _LAST
    return (mixed >> _HALF).astype(np.uint32)
