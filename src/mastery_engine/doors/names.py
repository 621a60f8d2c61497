"""The doors for schools that take calls of other platforms, by their names."""

from typing import Literal, TypeAlias, get_args

Door: TypeAlias = Literal["xapi", "caliper", "canvas"]
DOORS: tuple[Door, ...] = get_args(Door)
