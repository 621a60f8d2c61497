"""The languages of the pages: every sentence in a catalogue, numbers and dates as a reader writes them.

Catalogues are the ``.po`` files of ``locale/``, read at their first use, so that nothing is compiled that could be old.
A page is in the language that the reader chose, else that of their profile, else the first of their browser's that
there is, else the course's.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any
from unicodedata import bidirectional

from babel import Locale
from babel.dates import format_date, format_datetime, format_time, format_timedelta, get_day_names
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from fastapi import Request
from starlette.responses import Response

from mastery_engine.domain.evidence.shown import whole_per_cent
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.http.lti.cookies import kept, put

LOCALES = Path(__file__).parent / "locale"
LANGUAGES = {"en": "English", "es": "Español", "ar": "العربية"}
ENGLISH = "en"
DAYS = {"en": "EEEE, d MMMM", "es": "EEEE d 'de' MMMM", "ar": "EEEE d MMMM"}
LONG_DAYS = {"en": "d MMMM y"}  # a page has one order of day and month
RIGHT_TO_LEFT = frozenset(("ar",))
COOKIE = "mastery_language"
MINUS = "\N{MINUS SIGN}"
ISOLATE, END_ISOLATE = "\N{FIRST STRONG ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
AGAINST = {"ltr": frozenset(("R", "AL")), "rtl": frozenset("L")}
EVERYWHERE = "/"
A_YEAR_S = 365 * 86_400
MOST_WRITTEN = 1_024  # of each language: days in the ways to write them, and numbers
LONGEST_HEADER = 1_000


def N_(message: str) -> str:  # noqa: N802 - the name by which catalogues find a sentence that is translated later
    return message


@cache
def _translations(language: str) -> NullTranslations:
    if language == ENGLISH:
        return NullTranslations()
    with (LOCALES / language / "pages.po").open("rb") as written:
        catalogue = read_po(written, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


def is_in_catalogues(sentence: str) -> bool:
    """Whether pages have a sentence in all languages: it is in the catalogue of every language but English."""
    return all(_translations(one).gettext(sentence) != sentence for one in LANGUAGES if one != ENGLISH)


def points_of(share: float) -> float:
    """A share as points of 100, without the errors of floating point: they would decide where it is rounded."""
    return round(100 * share, 6)


class Sentence(str):
    """A sentence of a catalogue. What fills it is isolated where it runs the other way: a name must not turn it."""

    __slots__ = ("_words",)
    _words: "Words"

    def __new__(cls, text: str, words: "Words") -> "Sentence":
        made = super().__new__(cls, text)
        made._words = words
        return made

    def __mod__(self, values: Any) -> str:
        return str(self) % {name: self._words.isolated(value) for name, value in values.items()}


class Words:
    """A language: its sentences, and how it writes numbers, days and lists."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.direction = "rtl" if language in RIGHT_TO_LEFT else "ltr"
        self.locale = Locale.parse(language)
        self._translations = _translations(language)
        self._per_cents = [format_percent(whole / 100, locale=self.locale) for whole in range(101)]
        self._written = lru_cache(MOST_WRITTEN)(self._format_day)
        self._decimal = lru_cache(MOST_WRITTEN)(self._format_decimal)

    def gettext(self, message: str) -> Sentence:
        return Sentence(self._translations.gettext(message), self)

    def ngettext(self, one: str, many: str, count: int) -> Sentence:
        return Sentence(self._translations.ngettext(one, many, count), self)

    def pgettext(self, context: str, message: str) -> Sentence:
        return Sentence(self._translations.pgettext(context, message), self)

    def npgettext(self, context: str, one: str, many: str, count: int) -> Sentence:
        return Sentence(self._translations.npgettext(context, one, many, count), self)

    def isolated(self, value: Any) -> Any:
        """The value, apart from the words around it if something in it is written in the other direction."""
        if not isinstance(value, str) or (self.direction == "ltr" and value.isascii()):
            return value
        is_against = not AGAINST[self.direction].isdisjoint(map(bidirectional, value))
        return ISOLATE + value + END_ISOLATE if is_against else value

    def percent(self, share: float) -> str:
        """A share as all pages show it: rounded down, so that 59.6% is not shown as the 60% at which a level begins."""
        return self._per_cents[whole_per_cent(share)]

    def percent_needed(self, share: float) -> str:
        """What is needed, which rounds up."""
        return format_percent(ceil(points_of(share)) / 100, locale=self.locale)

    def exact_percent(self, share: float) -> str:
        """A share with one decimal."""
        return format_percent(share, format="0.0%", locale=self.locale)

    def signed_points(self, change: float) -> str:
        """A change of a share in points of 100, such as +2.5."""
        points = round(points_of(change), 1) or 0.0
        return f"{MINUS if points < 0 else '+'}{self._decimal(abs(points), '0.0')}"

    def direction_of(self, change: float) -> str:
        """Whether a change is shown as one: up, down or flat."""
        points = round(points_of(change), 1)
        return "flat" if not points else "up" if points > 0 else "down"

    def number(self, value: float) -> str:
        return self._decimal(value)

    def _format_decimal(self, value: float, pattern: str | None = None) -> str:
        return str(format_decimal(value, format=pattern, locale=self.locale))

    def figure(self, value: float) -> str:
        """A number of which the size matters: three places that count, whole from 100 on."""
        if value >= 100 or value == round(value):
            return self.number(round(value))
        return self._decimal(value, "@##")

    def day(self, day: str | date) -> str:
        """A day with its weekday, as of the last weeks."""
        return self._written(day, DAYS[self.language])

    def short_day(self, day: str | date) -> str:
        return self._written(day, "d MMM")

    def full_day(self, day: str | date) -> str:
        return self._written(day, LONG_DAYS.get(self.language, "long"))

    def _format_day(self, day: str | date, pattern: str) -> str:
        return format_date(date.fromisoformat(day) if isinstance(day, str) else day, pattern, self.locale)

    def moment(self, at: Micros, zone: tzinfo = UTC) -> str:
        """A moment in a time zone, to the minute."""
        when = datetime.fromtimestamp(at / SECOND, zone)
        return format_datetime(when, "d MMM, HH:mm", tzinfo=zone, locale=self.locale)

    def when(self, text: str) -> str:
        """A moment of an answer (RFC 3339), to the minute, in UTC."""
        return format_datetime(datetime.fromisoformat(text), "d MMM, HH:mm", locale=self.locale)

    def clock(self, when: datetime) -> str:
        """The time of day of a moment, to the minute."""
        return format_time(when, "HH:mm", tzinfo=when.tzinfo, locale=self.locale)

    def ago(self, at: Micros, now: Micros) -> str:
        """How long ago a moment was, in one unit."""
        return format_timedelta(
            timedelta(microseconds=at - now), add_direction=True, format="narrow", locale=self.locale
        )

    @property
    def weekdays(self) -> list[str]:
        """The narrowest names of the weekdays, from Monday."""
        names = get_day_names("narrow", "stand-alone", self.locale)
        return [names[day] for day in range(7)]

    def listed(self, items: Sequence[str]) -> str:
        return format_list(list(items), locale=self.locale)


@cache
def words_of(language: str) -> Words:
    """The words of one of the languages."""
    return Words(language)


_spoken: ContextVar[Words | None] = ContextVar("spoken", default=None)
_reader: ContextVar[str] = ContextVar("reader", default="")
_address: ContextVar[str] = ContextVar("address", default="/dashboard")


def spoken() -> Words:
    """The words of the page that is being made."""
    return _spoken.get() or words_of(ENGLISH)


def reader() -> str:
    """The name of who reads the page that is being made; empty where none is known."""
    return _reader.get()


def call_reader(name: str | None) -> None:
    """Have the page that is being made call its reader by name."""
    _reader.set(name or "")


def address() -> str:
    """The address of the page that is being made, to which the choice of another language leads back."""
    return _address.get()


def speak(request: Request, *, own: str | None = None, course: str | None = None) -> Words:
    """Make the page in the reader's language. ``own`` is that of the reader's profile, ``course`` the course's."""
    choices = (
        served(kept(request, COOKIE)),
        served(own),
        _accepted(request.headers.get("accept-language", "")),
        served(course),
        ENGLISH,
    )
    words = words_of(next(one for one in choices if one is not None))
    _spoken.set(words)
    query = request.url.query
    asked = f"{request.url.path}?{query}" if query else request.url.path
    _address.set(asked if asked.isascii() else "/dashboard")
    return words


def remember(request: Request, answer: Response, language: str) -> None:
    """Have the browser keep the reader's choice for a year, for all pages, also where a platform shows them in a frame.

    It says nothing of who they are.
    """
    put(request, answer, COOKIE, language, EVERYWHERE, A_YEAR_S)


def served(tag: str | None) -> str | None:
    """The language of the pages that a BCP 47 tag asks for, if there is one."""
    language = (tag or "").partition("-")[0].strip().lower()
    return language if language in LANGUAGES else None


def _accepted(header: str) -> str | None:
    """The most wanted language of an Accept-Language header that there is (RFC 9110, section 12.5.4)."""
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate(header[:LONGEST_HEADER].split(",")):
        tag, _, quality = part.partition(";q=")
        language = served(tag)
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if language is not None and weight > 0:
            wanted.append((-weight, place, language))
    return min(wanted)[2] if wanted else None
