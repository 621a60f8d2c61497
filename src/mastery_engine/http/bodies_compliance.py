"""What the calls about consent and the audit trail take."""

import datetime
import re
from typing import Annotated

from pydantic import BeforeValidator

from mastery_engine.http.bodies import Body


class ConsentChanged(Body):
    """What a student allows from now on; what is left out stays as it is."""

    processing: bool | None = None
    profiling: bool | None = None


def _no_number(text: str) -> str:
    """The text of a moment: Pydantic takes a number, or a day, for one too."""
    if not re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:", text, re.ASCII):
        raise ValueError("a moment is written as in 2026-01-14T10:30:00Z")
    return text


Moment = Annotated[datetime.datetime, BeforeValidator(_no_number)]
