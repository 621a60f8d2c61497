"""The answers of the tools: short and typed. What students or other systems wrote is ``Quoted``."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mastery_engine.mcp.quoted import Quoted
from mastery_engine.responses.help import Reason


class ToolResult(BaseModel):
    """The base of all answers; fields that are None are left out."""

    model_config = ConfigDict(frozen=True)


class Parts(ToolResult):
    """The four components, each in [0, 1]; 0 also where there is no evidence."""

    completion: float
    quiz: float
    quality: float
    consistency: float


class CourseResult(ToolResult):
    """One of a student's courses."""

    course_id: Quoted
    score: float
    level: str


class MasteryResult(ToolResult):
    """A student's mastery."""

    student_id: str
    score: float = Field(description="0 to 1")
    level: str
    coverage: float = Field(description="share of the score's weights that has evidence; below 1 it is provisional")
    components: Parts
    trend: str | None = None
    historical_average: float | None = None
    last_updated: str | None = None
    recommendations: list[dict[str, Any]] | None = Field(None, description="area and reason are quoted data")
    courses: list[CourseResult] | None = None


class CostResult(ToolResult):
    """One component: ``cost`` is how much of the score it takes away."""

    component: str
    score: float
    cost: float
    no_evidence: bool | None = None
    needed_for_next_level: float | None = None
    what_moves_it: str | None = None


class ExplanationResult(ToolResult):
    """Why a score is what it is, the costliest component first; the costs add up to 1 − score."""

    score: float
    level: str
    next_level: str | None = None
    missing_to_next_level: float | None = None
    costs: list[CostResult]


class ContributionResult(ToolResult):
    """One component."""

    component: str
    change: float
    causes: list[Quoted]


class ChangeResult(ToolResult):
    """What changed; the contributions add up to it."""

    change: float
    contributions: list[ContributionResult]
    note: str | None = None


class HistoryResult(ToolResult):
    """A range of days in a line; ``points`` only on request."""

    trend: str
    first: float | None = None
    last: float | None = None
    lowest: float | None = None
    highest: float | None = None
    average: float | None = None
    points: dict[str, float] | None = Field(None, description="score by day, or by the first day of a week or month")


class SkillResult(ToolResult):
    """One skill."""

    skill: Quoted
    right_next: float = Field(description="probability that the next answer is right")
    uncertainty: float = Field(description="its standard error")
    basis: str
    forgotten: float
    answers: int


class SkillsResult(ToolResult):
    """The strongest and weakest skills of those with answers or exercises."""

    known: int
    weakest: list[SkillResult]
    strongest: list[SkillResult]


class HelpReason(ToolResult):
    """A sign, in words, and its figures."""

    code: str
    message: Quoted
    evidence: Quoted


class HelpResult(ToolResult):
    """One student who needs help, and why."""

    student_id: str
    name: Quoted | None = None
    course_id: Quoted | None = None
    score: float
    trend: str | None = None
    reasons: list[HelpReason]


def help_reasons(reasons: Sequence[Reason]) -> list[HelpReason]:
    """Why a student needs help, as it is told to an agent."""
    return [HelpReason(code=one.code, message=one.message, evidence=one.evidence) for one in reasons]


class ClassResult(ToolResult):
    """Several students in a few lines."""

    students: int
    average: float | None = None
    levels: dict[str, int]
    need_help: int
    first: list[HelpResult] = Field(description="those who need help most")
    unknown: list[str] | None = None


class IngestResult(ToolResult):
    """What became of the events: ``refused`` names each that was, with the reason, ``ignored`` the unknown fields."""

    accepted: int
    event_ids: list[str]
    refused: list[Quoted] | None = None
    ignored: list[Quoted] | None = None


class StatusResult(ToolResult):
    """processed, dead_lettered or not_processed."""

    status: str
    reason: Quoted | None = None


class CalibrationResult(ToolResult):
    """Whether forecasts are true of this course: ``coverage`` is how often the interval held in its past weeks."""

    calibrated: bool
    coverage: float | None = None
    student_weeks: int
    as_of: str | None = None


class ForecastResult(ToolResult):
    """The score now and then; ``lower`` to ``upper`` holds with 80%, or is wider while it is not calibrated."""

    now: float
    then: float
    lower: float
    upper: float
    trend: str
    intervention_needed: bool
    calibration: CalibrationResult


class AdviceResult(ToolResult):
    """What to do next, best first."""

    steps: list[Quoted]


class NextItem(ToolResult):
    """An item; ``chance`` is that of a right answer."""

    item_id: Quoted
    title: Quoted | None = None
    chance: float
    why: Quoted


class ItemsResult(ToolResult):
    """The items to answer next, best first."""

    items: list[NextItem]


class PathResult(ToolResult):
    """The next skills of a path of so many ``steps`` and ``minutes``."""

    skills: list[str]
    steps: int
    minutes: int
    done_by: str


class NoticedResult(ToolResult):
    """What holds a student up, and what a tutor would notice."""

    stuck_on: list[Quoted]
    habits: list[Quoted]


class CohortResult(ToolResult):
    """A class in a few lines."""

    size: int
    average: float | None = None
    levels: dict[str, int]
    need_help: int
    first: list[HelpResult]


class ClassRow(ToolResult):
    """One class: averages; of a student who is compared with it, the place in it."""

    cohort_id: Quoted
    size: int | str
    average: float | None = None
    components: Parts | None = None
    levels: dict[str, int] | None = None
    need_help: int | None = None
    rank: int | None = None
    percentile: float | None = None


class ComparedStudent(ToolResult):
    """Who is compared."""

    score: float
    level: str
    components: Parts


class ComparedResult(ToolResult):
    """Classes in the order asked for."""

    student: ComparedStudent | None = None
    classes: list[ClassRow]
