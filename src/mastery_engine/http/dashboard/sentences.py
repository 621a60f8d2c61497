"""What pages say of what the services found, in the reader's language. A name that a school gave is shown as it is."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from mastery_engine.domain.advice.struggle import Trigger
from mastery_engine.domain.cohorts.needs_help import (
    FallSign,
    ForecastSign,
    InactivitySign,
    LowScoreSign,
    Sign,
    StruggleSign,
)
from mastery_engine.domain.courses.curriculum import Module
from mastery_engine.domain.evidence.causes import ChangeKind
from mastery_engine.domain.evidence.history import Trend
from mastery_engine.domain.moments import iso_date
from mastery_engine.domain.rules import Component
from mastery_engine.domain.skills.skill_map import State
from mastery_engine.http.dashboard.words import Words, spoken
from mastery_engine.responses.advice import NextStep
from mastery_engine.responses.changes import CauseOfChange
from mastery_engine.responses.forecasts import ForecastCalibration
from mastery_engine.responses.help import Code

Titles = Mapping[str, str]
WHOLE_POINT = 0.005

SIGNS: dict[State, str] = {
    "mastered": "check-check",
    "known": "check",
    "fading": "trending-down",
    "begun": "circle-dot",
    "ready": "arrow-right",
    "later": "minus",
}


def level_name(level: str, words: Words | None = None) -> str:
    """A level; the levels of a school's own are named by it."""
    words = words or spoken()
    match level:
        case "beginner":
            return words.pgettext("level", "beginner")
        case "learning":
            return words.pgettext("level", "learning")
        case "developing":
            return words.pgettext("level", "developing")
        case "competent":
            return words.pgettext("level", "competent")
        case "proficient":
            return words.pgettext("level", "proficient")
        case "mastered":
            return words.pgettext("level", "mastered")
        case "expert":
            return words.pgettext("level", "expert")
    return level


def component_name(component: Component) -> str:
    """A component."""
    words = spoken()
    match component:
        case "completion":
            return words.pgettext("component", "completion")
        case "quiz":
            return words.pgettext("component", "quizzes")
        case "quality":
            return words.pgettext("component", "code quality")
        case "consistency":
            return words.pgettext("component", "consistency")


def what_moves(component: Component) -> str:
    """What raises a component."""
    words = spoken()
    match component:
        case "completion":
            return words.gettext("Finish open exercises; harder ones weigh more.")
        case "quiz":
            return words.gettext("Take quizzes: new results soon outweigh old ones.")
        case "quality":
            return words.gettext("Hand in code for review: new reviews soon outweigh old ones.")
        case "consistency":
            return words.gettext("Work on more days, even if only for a little while.")


def trend_words(trend: Trend) -> str:
    """A trend of the last two weeks."""
    words = spoken()
    match trend:
        case "improving":
            return words.pgettext("trend", "rising")
        case "declining":
            return words.pgettext("trend", "falling")
        case "stable":
            return words.pgettext("trend", "steady")


def state_words(state: State) -> str:
    """The state of a skill."""
    words = spoken()
    match state:
        case "mastered":
            return words.pgettext("skill", "mastered")
        case "known":
            return words.pgettext("skill", "known")
        case "fading":
            return words.pgettext("skill", "fading")
        case "begun":
            return words.pgettext("skill", "begun")
        case "ready":
            return words.pgettext("skill", "ready to begin")
        case "later":
            return words.pgettext("skill", "later")


def titles_of(modules: Sequence[Module]) -> Titles:
    """The titles of modules and skills by their ids."""
    skills = {skill.id: skill.title for module in modules for skill in module.skills}
    return {module.id: module.title for module in modules} | skills


def step_title(step: NextStep) -> str:
    """What to do, as a heading."""
    words = spoken()
    match step.action:
        case "practice" if step.area == "quiz":
            return words.gettext("Take a first quiz")
        case "practice" if step.area == "exercises":
            return words.gettext("Finish open exercises")
        case "practice":
            return words.gettext("Practise “%(topic)s”") % {"topic": step.stuck_on or step.title}
        case "review":
            return words.gettext("Review “%(topic)s”") % {"topic": step.title}
        case "refactor" if step.begun:
            return words.gettext("Improve your last program")
        case "refactor":
            return words.gettext("Hand in a program")
        case "schedule":
            return words.gettext("Work a little every day this week")


def step_reason(step: NextStep) -> str:
    """Why, to the student."""
    words = spoken()
    match step.action:
        case "practice" if step.area == "quiz":
            return words.gettext("You have no quiz result yet, and quizzes count for a good part of your score.")
        case "practice":
            return _practice(step)
        case "review" if step.rises:
            return words.gettext("You knew this, and some of it may be fading by now.")
        case "review":
            return words.gettext("You know this well. A look now and then keeps it.")
        case "refactor" if step.begun:
            return words.gettext("Make it better and hand it in again: a better review raises your code quality.")
        case "refactor":
            return words.gettext("None of your code has been reviewed yet.")
        case "schedule":
            return words.gettext("Your consistency rises with each day on which you do something.")


def _practice(step: NextStep) -> str:
    words = spoken()
    said = []
    if step.stuck_on:
        said.append(words.gettext("You are stuck on this part of “%(module)s”.") % {"module": step.title})
    if step.steps:
        waiting = words.ngettext(
            "%(num)s exercise is waiting for you.", "%(num)s exercises are waiting for you.", step.steps
        )
        said.append(waiting % {"num": words.number(step.steps)})
    if step.rises:
        said.append(words.gettext("You know what this builds on: now show that you master it."))
    elif not said:
        said.append(words.gettext("Each exercise that you finish counts."))
    return " ".join(said)


def step_size(step: NextStep) -> str:
    """How long it takes, and what it would bring."""
    words = spoken()
    if step.action == "schedule":
        a_day = max(1, round(step.minutes / max(1, step.steps)))
        return words.ngettext("about %(num)s minute a day", "about %(num)s minutes a day", a_day) % {
            "num": words.number(a_day)
        }
    minutes = words.ngettext("about %(num)s minute", "about %(num)s minutes", step.minutes)
    said = minutes % {"num": words.number(step.minutes)}
    points = round(100 * step.gain)
    if step.gain < WHOLE_POINT:
        return said
    gain = words.ngettext("up to %(num)s point more", "up to %(num)s points more", points)
    return f"{said} · {gain % {'num': words.number(points)}}"


def cause_words(cause: CauseOfChange, titles: Titles) -> str:
    """What moved a score."""
    words, number = spoken(), cause.events or 0
    topic = titles.get(cause.topic, cause.topic) if cause.topic else None
    text = (topic and _on_topic(cause.kind, words, number)) or _without_topic(cause.kind, words, number)
    return text % {"topic": topic, "num": words.number(number)}


def _on_topic(kind: ChangeKind, words: Words, number: int) -> str | None:
    match kind:
        case "started":
            return words.gettext("Started “%(topic)s”: its open exercises count from now on")
        case "completion":
            return words.gettext("Exercises on “%(topic)s”")
        case "quiz":
            return words.ngettext("A quiz on “%(topic)s”", "%(num)s quizzes on “%(topic)s”", number)
        case "answer":
            return words.ngettext("An answer on “%(topic)s”", "%(num)s answers on “%(topic)s”", number)
        case "quality":
            return words.ngettext("A code review on “%(topic)s”", "%(num)s code reviews on “%(topic)s”", number)
    return None


def _without_topic(kind: ChangeKind, words: Words, number: int) -> str:
    said: dict[ChangeKind, Callable[[], str]] = {
        "started": lambda: words.gettext("Started new exercises: open ones count from now on"),
        "completion": lambda: words.gettext("Exercises"),
        "quiz": lambda: words.ngettext("A quiz", "%(num)s quizzes", number),
        "answer": lambda: words.ngettext("An answer", "%(num)s answers", number),
        "quality": lambda: words.ngettext("A code review", "%(num)s code reviews", number),
        "regrade": lambda: words.ngettext("A corrected mark", "%(num)s corrected marks", number),
        "calculation": lambda: words.gettext("Set directly by your school"),
        "active": lambda: words.ngettext("Active on %(num)s day", "Active on %(num)s days", number),
        "away": lambda: words.ngettext("A day away", "%(num)s days away", number),
        "aged": lambda: words.gettext("Old work no longer counts"),
        "earlier": lambda: words.gettext("What happened before that"),
        "several": lambda: words.ngettext("A piece of work", "%(num)s pieces of work", number),
    }
    return said[kind]()


def calibration_words(known: ForecastCalibration, missing_of: int) -> str:
    """Whether forecasts are true of the course."""
    words = spoken()
    weeks = words.number(known.student_weeks)
    if known.calibrated and known.coverage is not None:
        said = words.gettext(
            "Calibrated for this course: the score came within the band in %(held)s of %(weeks)s past weeks of its "
            "students."
        )
        return said % {"held": words.exact_percent(known.coverage), "weeks": weeks}
    said = words.gettext(
        "Not calibrated for this course yet: it has %(weeks)s of the %(enough)s past weeks of students that this "
        "takes, so the band is wide."
    )
    return said % {"weeks": weeks, "enough": words.number(missing_of)}


class HelpWords(msgspec.Struct, frozen=True):
    """Why a student needs help: the code as calls send it, what it is in a few words, what it rests on, what to do."""

    code: Code
    short: str
    evidence: str
    advice: str


def help_reasons(signs: Sequence[Sign], titles: Titles) -> list[HelpWords]:
    """A reason for each sign, and for each topic on which the student is stuck: in the order of every list."""
    return [reason for sign in signs for reason in _reasons(sign, titles)]


def help_line(reasons: Sequence[HelpWords], topics: str) -> str:
    """The reasons in one line, in which the topics on which a student is stuck stand together; empty without any."""
    words = spoken()
    stuck = words.gettext("Stuck on %(topics)s") % {"topics": topics} if topics else words.gettext("Stuck")
    return " · ".join(dict.fromkeys([stuck if reason.code == "struggle" else reason.short for reason in reasons]))


def _reasons(sign: Sign, titles: Titles) -> list[HelpWords]:
    match sign:
        case StruggleSign():
            return [_stuck(one.topic, one.trigger, iso_date(one.since), titles) for one in sign.topics]
        case ForecastSign():
            return [_forecast(sign)]
        case LowScoreSign():
            return [_low(sign)]
        case FallSign():
            return [_fell(sign)]
        case InactivitySign():
            return [_away(sign)]


def _stuck(topic: str, trigger: Trigger, since: str, titles: Titles) -> HelpWords:
    words = spoken()
    title = titles.get(topic, topic)
    short = words.gettext("Stuck on “%(topic)s”") if topic else words.gettext("Stuck")
    advice = words.gettext("Go through it together, starting from what they tried last.")
    said = _since(since, trigger, words)
    return HelpWords("struggle", short % {"topic": title}, said, advice)


def _since(since: str, trigger: Trigger, words: Words) -> str:
    what: dict[Trigger, Callable[[], str]] = {
        "repeated_error": lambda: words.gettext("The same error again and again, since %(day)s."),
        "failed_executions": lambda: words.gettext("Many runs that failed, since %(day)s."),
        "long_on_exercise": lambda: words.gettext("A long time on one exercise, since %(day)s."),
        "low_quiz": lambda: words.gettext("A quiz with less than half right, on %(day)s."),
        "asked_for_help": lambda: words.gettext("Said so and asked for help, on %(day)s."),
        "": lambda: words.gettext("Since %(day)s."),
    }
    return what[trigger]() % {"day": words.short_day(since)}


def _forecast(sign: ForecastSign) -> HelpWords:
    words = spoken()
    said = words.gettext("Most likely %(score)s on %(day)s (%(level)s).")
    shown = {"score": words.percent(sign.predicted), "day": words.short_day(iso_date(sign.day))}
    return HelpWords(
        "forecast",
        words.gettext("Likely to fall behind next week"),
        said % {**shown, "level": level_name(sign.level)},
        words.gettext("Agree on one small goal for this week."),
    )


def _low(sign: LowScoreSign) -> HelpWords:
    words = spoken()
    if sign.since is not None:
        said = words.gettext("Below half since %(day)s.") % {"day": words.short_day(iso_date(sign.since))}
    else:
        said = words.gettext("Has just fallen below half.")
    short = words.gettext("The score is low: %(score)s") % {"score": words.percent(sign.score)}
    return HelpWords("low_score", short, said, words.gettext("Begin with the first step that their page advises."))


def _fell(sign: FallSign) -> HelpWords:
    words = spoken()
    fall = round(100 * sign.fall)
    short = words.ngettext("Fell by %(num)s point", "Fell by %(num)s points", fall) % {"num": words.number(fall)}
    said = words.gettext("Since %(day)s, above all in %(component)s.")
    shown = {"day": words.short_day(iso_date(sign.since)), "component": component_name(sign.component)}
    advice = {
        "completion": words.gettext("Look which exercises are still open."),
        "quiz": words.gettext("Look at the last quiz together."),
        "quality": words.gettext("Look at the last review together."),
        "consistency": words.gettext("Ask what keeps them from working."),
    }[sign.component]
    return HelpWords("falling", short, said % shown, advice)


def _away(sign: InactivitySign) -> HelpWords:
    words = spoken()
    days = words.ngettext("Away for %(num)s day", "Away for %(num)s days", sign.days)
    said = words.gettext("Last seen on %(day)s.") % {"day": words.short_day(iso_date(sign.last))}
    return HelpWords(
        "inactive",
        days % {"num": words.number(sign.days)},
        said,
        words.gettext("Ask how they are: a short message helps."),
    )
