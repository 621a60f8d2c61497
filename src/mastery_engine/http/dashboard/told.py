"""What pages say of what went wrong, in the reader's language: the sentence of that fault, else one by its code."""

from collections.abc import Sequence

import msgspec
from fastapi import Request

from mastery_engine.auth.access import ROLES, Act
from mastery_engine.errors import InvalidInput, LaunchRefused, MasteryError, NotFound
from mastery_engine.http.dashboard.refusals import OTHERS
from mastery_engine.http.dashboard.words import N_, is_in_catalogues, spoken
from mastery_engine.http.problems import CODE, status_of

BUSY = N_("The service is busy or away: try again in a moment.")
GENERAL = {
    "VALIDATION_ERROR": N_("The address or the form is not right."),
    "AUTH_ERROR": N_("This token does not open these pages: ask your school for another."),
    "FORBIDDEN": N_("This is not yours to see."),
    "NOT_FOUND": N_("There is nothing here, or nothing is known yet."),
    "METHOD_NOT_ALLOWED": N_("The address or the form is not right."),
    "REQUEST_TIMEOUT": N_("That came too slowly: try again."),
    "CONFLICT": N_("That is not allowed, or somebody else was quicker."),
    "GONE": N_("This was here once, and was removed for good."),
    "PAYLOAD_TOO_LARGE": N_("That is more than is taken at once: send less."),
    "UNSUPPORTED_MEDIA_TYPE": N_("The address or the form is not right."),
    "RATE_LIMITED": N_("Too many pages in a short time: wait a minute."),
    "INTERNAL_ERROR": N_("The service failed because of an internal error: tell your school the time and the address."),
    "SERVICE_UNAVAILABLE": BUSY,
}
NO_STUDENT_ID = N_("A student's id has only letters from A to Z, digits, _ and -, and at most 50 of them.")
NO_NAME = N_("The id of a class or a course has 1 to 100 characters, all of which can be seen.")
# Where a wrong id has no sentence of its own, by the field that the error names.
OF_FIELD = {
    **dict.fromkeys(("student_id", "student", "A student's id"), NO_STUDENT_ID),
    **dict.fromkeys(("course_id", "cohort", "cohort_id"), NO_NAME),
}
# What services say, and how a page says it: without what is meant for programs. A test holds that they say it.
SAID = {
    "You may not see this student.": N_("You may not see this student."),
    "You may not see this cohort.": N_("You may not see this class."),
    "Nothing is known about this student yet.": N_("Nothing is known about this student yet."),
    "Nothing is held about this student.": N_("Nothing is held about this student."),
    "The student is not in this cohort, or nothing is known about them yet.": N_(
        "The student is not in this class, or nothing is known about them yet."
    ),
    "There is no cohort with this id.": N_("There is no class with this id."),
    "There is no course with this id: no event named it, and nobody set it.": N_("There is no course with this id."),
    "This id belongs to another student here, to whom its evidence was moved: ask about them.": N_(
        "This id belongs to another student here, to whom its work was moved: ask about them."
    ),
    "The student has not consented to processing: record their consent first, "
    "by PUT /compliance/students/{student_id}/consent.": N_("The student does not allow that their work counts."),
    "The student has not consented to profiling, so there is no profile: record their consent first, "
    "by PUT /compliance/students/{student_id}/consent.": N_(
        "The student does not allow that advice and forecasts are made for them."
    ),
    "Whether this student allows profiling cannot be read at the moment: try again later.": BUSY,
    "There is no such redrive, or it was more than a day ago.": N_(
        "There is no such redrive, or it was more than a day ago."
    ),
    "cursor must be one that this call has given: leave it out to start again.": N_(
        "This address leads to no place in the list: begin at its start again."
    ),
    "There is no webhook with this id: GET /webhooks lists them.": N_("There is no webhook with this id."),
    "There is no message with this webhook-id: the deliveries of the webhook list them.": N_(
        "This webhook has no such message."
    ),
    "The token has expired: get a new one.": N_("Your token has expired: get a new one."),
    "Your visit has ended: open the link in your course again.": N_(
        "Your visit has ended: open the link in your course again."
    ),
    "The note is empty: write something first.": N_("The note is empty: write something first."),
    "The note is too long: shorten it to 2,000 characters.": N_(
        "The note is too long: shorten it to 2,000 characters."
    ),
    "The note holds characters that show nothing, such as control characters: take them out.": N_(
        "The note holds characters that show nothing, such as control characters: take them out."
    ),
    "There are 100 notes on this student already: remove one first.": N_(
        "There are 100 notes on this student already: remove one first."
    ),
    "Only who wrote a note may change it.": N_("Only who wrote a note may change it."),
    "Only who wrote a note, or an admin, may remove it.": N_("Only who wrote a note, or an admin, may remove it."),
    "The note was changed at the same time: look at it, and try again.": N_(
        "The note was changed at the same time: look at it, and try again."
    ),
    "There is no such note: it was removed, or has expired.": N_(
        "There is no such note: it was removed, or has expired."
    ),
}
OPERATORS_ALONE = N_("Students and teachers may not see how the service fares.")
OF_ROLES = dict.fromkeys([f"The role {role} may not {Act.OPERATE.value}." for role in ROLES], OPERATORS_ALONE)


class InWords(InvalidInput):
    """Input that is wrong; the message is in the reader's language already."""


class NoSuch(NotFound):
    """There is nothing by this name; ``choices`` (title, address) are what there is, headed by ``there_are``."""

    def __init__(self, message: str, there_are: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__(message)
        self.there_are = there_are
        self.choices = choices


class Told(msgspec.Struct, frozen=True):
    """What a page says of an error.

    ``general`` goes by the code, ``own`` is the sentence of this fault, empty where there is none. ``detail`` is what
    the service said, in English, where no sentence says all of it: for operators, and for whoever signs in.
    """

    general: str
    own: str
    code: str
    detail: str

    @property
    def in_one(self) -> str:
        """All of it in one sentence."""
        return self.own or f"{self.general} ({self.code})"


def told_of(error: MasteryError) -> Told:
    """What a page says of an error, in the reader's language."""
    words, code = spoken(), CODE[status_of(error)]
    general = words.gettext(GENERAL[code])
    if isinstance(error, InWords):
        return Told(general, error.message, code, "")
    known = SAID.get(error.message) or OF_ROLES.get(error.message)
    if known is None and is_in_catalogues(error.message):
        known = error.message
    if known is None and isinstance(error, InvalidInput):
        known = OF_FIELD.get(error.field or "")
    detail = "" if known else error.message
    if known is None and isinstance(error, LaunchRefused):
        known = OTHERS.get(error.reason)
    own = "" if known is None else str(words.gettext(known))
    return Told(general, "" if own == general else own, code, detail)


def is_for_operators(request: Request) -> bool:
    """Whether the reader is one whom the service's own words help."""
    return getattr(request.state, "role", "") in ("admin", "service")
