"""The doors of a demo, by which anybody may look at it without a token of their own."""

from typing import Literal

import msgspec


class DemoDoor(msgspec.Struct, frozen=True):
    """One way in: as whom, the token for it and, of a student, the name and which story is told of them."""

    role: Literal["student", "teacher", "operator"]
    token: str
    name: str = ""
    story: str = ""
