"""The answers of the tools: short and typed. What students or other systems wrote is ``Quoted``."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from mastery_engine.domain.evidence.history import Trend
from mastery_engine.mcp.quoted import Quoted
from mastery_engine.responses.help import Reason


class ToolResult(BaseModel):
    """The base of all answers; fields that are None are left out."""

    model_config = ConfigDict(frozen=True)


class NextCall(ToolResult):
    """A tool that answers what is asked next, and its arguments, in which ids of classes and courses are quoted."""

    tool: str
    arguments: dict[str, Any]


# Its schema is short, since agents pay for it in several tools.
Proposal = Annotated[
    NextCall, WithJsonSchema({"type": "object", "description": "a fitting next call: tool, arguments"})
]


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


class ScoreResult(ToolResult):
    """A score."""

    student_id: str
    score: float = Field(description="0 to 1")
    level: str
    coverage: float = Field(description="share of the score's weights that has evidence; below 1 it is provisional")
    components: Parts


class MasteryResult(ScoreResult):
    """A student's mastery."""

    trend: Trend | None = None
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

    trend: Trend
    first_score: float | None = None
    last_score: float | None = None
    lowest: float | None = None
    highest: float | None = None
    days_average: float | None = None
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
    trend: Trend | None = None
    reasons: list[HelpReason]


def help_reasons(reasons: Sequence[Reason]) -> list[HelpReason]:
    """Why a student needs help, as it is told to an agent."""
    return [HelpReason(code=one.code, message=one.message, evidence=one.evidence) for one in reasons]


class FoundResult(ToolResult):
    """A student who was found."""

    student_id: str
    name: Quoted | None = None
    cohort_ids: list[Quoted]


class FoundStudents(ToolResult):
    """The students found, by id; with ``cursor`` the next call gives more."""

    students: list[FoundResult]
    cursor: str | None = None
    next: Proposal | None = None


class ListedClass(ToolResult):
    """A class."""

    cohort_id: Quoted
    name: Quoted
    course_id: Quoted | None = None
    size: int | None = None


class ClassList(ToolResult):
    """Classes, by id; with ``cursor`` the next call gives more."""

    classes: list[ListedClass]
    cursor: str | None = None
    next: Proposal | None = None


class ClassResult(ToolResult):
    """Several students in a few lines."""

    size: int
    average: float | None = None
    levels: dict[str, int]
    need_help: int
    first: list[HelpResult]
    unknown: list[str] | None = None
    next: Proposal | None = None


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
    """Whether forecasts are true of this course."""

    calibrated: bool
    interval_held: float | None = Field(None, description="share of past weeks")
    student_weeks: int
    as_of: str | None = None


class ForecastResult(ToolResult):
    """The score now and then; ``lower`` to ``upper`` holds with 80%, or is wider while it is not calibrated."""

    now: float
    then: float
    lower: float
    upper: float
    expected_trend: Trend
    intervention_needed: bool
    calibration: CalibrationResult


class AdvicePiece(ToolResult):
    """A piece of advice: ``gain`` of the score for ``minutes`` of work; ``links`` lead to what to use."""

    recommendation_id: str
    action: str
    area: Quoted
    priority: str
    minutes: int
    gain: float
    reason: Quoted
    links: list[str]


class AdviceResult(ToolResult):
    """What to do next, best first."""

    advice: list[AdvicePiece]


class NextItem(ToolResult):
    """An item to answer."""

    item_id: Quoted
    title: Quoted | None = None
    skill: Quoted | None = None
    right_next: float
    reason: Quoted
    links: list[str]


class ItemsResult(ToolResult):
    """The items to answer next, best first."""

    items: list[NextItem]


class PathResult(ToolResult):
    """The next skills of a path of so many ``skills_in_all`` and ``minutes``."""

    skills: list[str]
    skills_in_all: int
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
    next: Proposal | None = None


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
