"""The pinned requirements as their files have them."""

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """One line: a requirement with the hashes of its files."""

    requirement: Requirement
    hashes: frozenset[str]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "==", self.requirement
        return specifier.version

    @property
    def is_for_here(self) -> bool:
        return self.requirement.marker is None or self.requirement.marker.evaluate()


def pins(file: str) -> list[Pin]:
    """All pins of a file of requirements, without those of another that it includes."""
    lines = (ROOT / file).read_text().replace("\\\n", " ").splitlines()
    return [
        Pin(Requirement(line.partition("--hash")[0]), frozenset(HASH.findall(line)))
        for line in lines
        if line and not line.startswith(("#", "-"))
    ]
