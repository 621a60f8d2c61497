"""The days that an address names, and what is wrong with them."""

import re
from datetime import date

from fastapi import Request

from mastery_engine.domain.moments import Day, DaySpan, day_of_date, iso_date
from mastery_engine.http.dashboard.words import spoken

LONGEST_DATE = 40
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def typed_days(request: Request) -> tuple[str, str]:
    """The first and the last day as they were typed; empty where they were not."""
    since, until = (request.query_params.get(name, "").strip()[:LONGEST_DATE] for name in ("from", "to"))
    return since, until


def days_fault(since: str, until: str, known: DaySpan, *, leeway: int = 0) -> str:
    """What is wrong with the days that were typed, in the reader's language; empty where nothing is.

    ``leeway`` is how many days around the known ones are taken for the nearest of them.
    """
    words = spoken()
    given = [text for text in (since, until) if text]
    days = [day_typed(text) for text in given]
    if None in days:
        return words.gettext("“%(typed)s” is no date: write it as 2026-11-29.") % {"typed": given[days.index(None)]}
    chosen = [day for day in days if day is not None]
    if chosen != sorted(chosen):
        return words.gettext("The first day lies after the last: change one of them.")
    if not all(known.first - leeway <= day <= known.last + leeway for day in chosen):
        said = words.gettext("Only the days from %(first)s to %(last)s are known: choose from them.")
        first, last = (words.full_day(iso_date(day)) for day in (known.first, known.last))
        return said % {"first": first, "last": last}
    return ""


def day_typed(text: str) -> Day | None:
    """A day as 2026-11-29; None for any other text."""
    try:
        return day_of_date(date.fromisoformat(text)) if ISO_DATE.fullmatch(text) else None
    except ValueError:
        return None
