"""What the engine answers.

Made by `make contracts` from the OpenAPI document; don't edit.
"""

import datetime
from typing import Any

import msgspec

from mastery_client.response import Response, TableResponse
from mastery_client.words import (
    Action,
    Aggregation,
    AheadGoal,
    AnswerBasis,
    BatchProgress,
    CauseOfChangeKind,
    Component,
    DeliveryState,
    DependencyStatus,
    Difficulty,
    EventProgress,
    FoundPatternKind,
    Goal,
    HealthStatus,
    MessageStatus,
    Metric,
    OutcomeStatus,
    Priority,
    ReadinessReportStatus,
    ReasonCode,
    ReceiptStatus,
    SkillBasis,
    Trend,
)


class Reason(msgspec.Struct, frozen=True):
    """One reason why a student needs help: what it is in a sentence, and the figures that it rests on."""

    code: ReasonCode
    message: str
    evidence: str


class AtRisk(msgspec.Struct, frozen=True):
    """A student who needs help, and why; the higher the ``risk``, the severity of the reasons in [0, 1], the sooner.

    ``display_name`` is there where the student has one.
    """

    student_id: str
    mastery_score: float
    level: str
    risk: float
    reasons: list[Reason]
    display_name: str | None = None


class AuditEntry(msgspec.Struct, frozen=True):
    """Who did what, to which student (a keyed hash), when, from where, and whether it was allowed.

    The ``subject`` of a student's own call is a keyed hash, too; ``call`` names the kind of call.
    """

    at: datetime.datetime
    subject: str
    role: str
    call: str
    student: str | None
    allowed: bool
    address: str
    request_id: str


class AuditTrail(TableResponse, frozen=True, kw_only=True):
    """A page of the audit trail, newest first; ``next_cursor`` leads to the page after it."""

    records: list[AuditEntry]
    next_cursor: str | None

    _rows = "records"
    _row = AuditEntry


class BadgeEntry(Response, frozen=True, kw_only=True):
    """A badge of a student: whoever has its ``url`` may see and verify it.

    ``name`` is the student's where they want it shown in the badge, and ``revoked`` is when an admin revoked it.
    """

    badge_id: str
    url: str
    student_id: str
    course_id: str
    title: str
    level: str
    awarded: datetime.datetime
    name: str | None
    revoked: datetime.datetime | None


class BadgeList(TableResponse, frozen=True, kw_only=True):
    """A student's badges, oldest first."""

    badges: list[BadgeEntry]

    _rows = "badges"
    _row = BadgeEntry


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with one row of many."""

    code: str
    message: str
    field: str | None = None


class BatchFailure(msgspec.Struct, frozen=True):
    """One row that failed; the others did not."""

    index: int
    student_id: str | None
    error: Problem


class Recommended(msgspec.Struct, frozen=True):
    """A piece of advice. ``expected_gain`` is in points of the mastery score, 0 to 1; ``estimated_time`` in minutes."""

    recommendation_id: str
    action: Action
    area: str
    priority: Priority
    estimated_time: int
    expected_gain: float
    reason: str
    resources: list[str]


class Components(msgspec.Struct, frozen=True):
    """The four components; one without evidence is 0.0 (see ``coverage``)."""

    completion: float
    quiz: float
    quality: float
    consistency: float


class Contribution(msgspec.Struct, frozen=True):
    """What one component adds to the score: ``contribution`` = ``weight`` × ``score``."""

    component: Component
    score: float
    weight: float
    contribution: float


class CurrentMastery(msgspec.Struct, frozen=True):
    """A score with its parts; ``coverage`` is the share of the weights that has evidence."""

    mastery_score: float
    level: str
    coverage: float
    timestamp: datetime.datetime
    recommendations: list[Recommended]
    components: Components | None = None
    breakdown: list[Contribution] | None = None


class BatchResult(msgspec.Struct, frozen=True):
    """One row's answer; ``index`` is its place in the request, from 0. ``course_id`` is left out for ``default``."""

    index: int
    student_id: str
    current_mastery: CurrentMastery
    course_id: str = "default"


class BatchSummary(msgspec.Struct, frozen=True):
    """How many rows were calculated, and how many failed."""

    total: int
    success: int
    failed: int


class BatchResponse(TableResponse, frozen=True, kw_only=True):
    """The answer to a batch of calculations, rows in the request's order."""

    results: list[BatchResult]
    failures: list[BatchFailure]
    summary: BatchSummary

    _rows = "results"
    _row = BatchResult


class BatchState(TableResponse, frozen=True, kw_only=True):
    """A batch that is processed after its acknowledgement; the results are there once ``status`` is completed."""

    batch_id: str
    status: BatchProgress
    results: list[BatchResult] | None = None
    failures: list[BatchFailure] | None = None
    summary: BatchSummary | None = None

    _rows = "results"
    _row = BatchResult


class Calculated(Response, frozen=True, kw_only=True):
    """The answer to a calculation."""

    student_id: str
    current_mastery: CurrentMastery


class CauseOfChange(msgspec.Struct, frozen=True):
    """One cause: ``change`` is its part of the score's change, ``message`` says it in plain words.

    ``events`` is the number of events, or of days for ``active`` and ``away``; null for ``earlier``, what happened more
    than 14 days ago.
    """

    kind: CauseOfChangeKind
    topic: str | None
    events: int | None
    change: float
    message: str


class ComponentContribution(msgspec.Struct, frozen=True):
    """What one component contributes to the change, and its causes, which sum to it; the greatest first."""

    component: Component
    change: float
    causes: list[CauseOfChange]


class Changes(TableResponse, frozen=True, kw_only=True, rename={"from_": "from"}):
    """The change of a score from the end of one day to the end of another; the end of today is now.

    The four contributions sum to ``change``. ``message`` says so where nothing was known at the first end, and where
    the score at an end is that of an older point, less what days away have taken since.
    """

    student_id: str
    from_: datetime.date
    to: datetime.date
    previous_score: float
    mastery_score: float
    change: float
    contributions: list[ComponentContribution]
    message: str | None = None

    _rows = "contributions"
    _row = ComponentContribution


class CohortFigures(TableResponse, frozen=True, kw_only=True):
    """A cohort as of a day (UTC): levels, means, and who needs help, the worst first.

    ``size`` counts the members about whom something is known, ``members`` counts all. ``next_cursor`` leads to the next
    page of ``at_risk``; null on the last.
    """

    cohort_id: str
    name: str
    as_of: datetime.date
    members: int
    size: int
    average: float | None
    level_distribution: dict[str, int]
    component_means: Components | None
    at_risk_count: int
    at_risk: list[AtRisk]
    next_cursor: str | None

    _rows = "at_risk"
    _row = AtRisk


class DueDay(msgspec.Struct, frozen=True):
    """A day on which work is due; ``minutes`` is the amount of work."""

    due: datetime.date
    topic: str | None
    kind: str | None
    minutes: int | None


class CohortRecord(Response, frozen=True, kw_only=True):
    """A cohort: its course, its members (a page of them, by id), how many there are, and its calendar.

    ``next_cursor`` leads to the next page; null on the last. ``display_names`` has the names, by id, of those on the
    page who have one; it is there if any has.
    """

    cohort_id: str
    course_id: str
    name: str
    size: int
    members: list[str]
    calendar: list[DueDay]
    next_cursor: str | None
    display_names: dict[str, str] = msgspec.field(default_factory=dict)


class ComponentPlace(msgspec.Struct, frozen=True):
    """Where a student stands in a cohort by one component."""

    student: float
    cohort_average: float
    percentile: float | None
    rank: int


class ComponentPlaces(msgspec.Struct, frozen=True):
    """Where a student stands in a cohort by each component."""

    completion: ComponentPlace
    quiz: ComponentPlace
    quality: ComponentPlace
    consistency: ComponentPlace


class Comparison(Response, frozen=True, kw_only=True):
    """Where a student stands among the members of a cohort about whom something is known, as of a day (UTC).

    ``percentile`` is 100 × (others below + half of equals) / others, null where there are no others; ``rank`` is 1 +
    those above. ``components`` come with the metric by_component. To students averages are given as whole per cents,
    the percentile to the nearest quarter, and the size as a range, such as "5 to 9": else whoever asks before and after
    somebody leaves the cohort would know that student's score. ``course_id``, which is that of the cohort, is left out
    for ``default``.
    """

    student_id: str
    cohort_id: str
    metric: Metric
    as_of: datetime.date
    student: float
    level: str
    cohort_average: float
    percentile: float | None
    rank: int
    size: int | str
    components: ComponentPlaces | None = None
    course_id: str = "default"


class ComponentValues(msgspec.Struct, frozen=True):
    """Some or all of the four components."""

    completion: float | None = None
    quiz: float | None = None
    quality: float | None = None
    consistency: float | None = None


class ConsentPoint(msgspec.Struct, frozen=True):
    """A change of consent: what was allowed from then on. ``erased`` says that the student was erased then."""

    at: datetime.datetime
    processing: bool
    profiling: bool
    erased: bool


class Consent(TableResponse, frozen=True, kw_only=True):
    """What is allowed now, and the history of changes, oldest first; an erasure begins a new history."""

    student_id: str
    processing: bool
    profiling: bool
    history: list[ConsentPoint]

    _rows = "history"
    _row = ConsentPoint


class CourseEntry(msgspec.Struct, frozen=True):
    """A course in the list of them."""

    course_id: str
    title: str
    time_zone: str
    language: str
    skills: int
    items: int
    version: int


class CourseItem(msgspec.Struct, frozen=True):
    """An item of a course: the skills that it exercises, and what is shown of it; ``minutes`` is the time it takes."""

    item_id: str
    skills: list[str] = msgspec.field(default_factory=list)
    title: str | None = None
    url: str | None = None
    minutes: int | None = None
    difficulty: Difficulty | None = None


class CourseList(TableResponse, frozen=True, kw_only=True):
    """A page of a tenant's courses, by id; ``next_cursor`` leads to the next one, null on the last."""

    courses: list[CourseEntry]
    next_cursor: str | None

    _rows = "courses"
    _row = CourseEntry


class CourseMastery(msgspec.Struct, frozen=True):
    """One of a student's courses, with the score there."""

    course_id: str
    title: str
    mastery_score: float
    level: str
    last_updated: datetime.datetime


class Weights(msgspec.Struct, frozen=True):
    """The share of each component in the score; the four sum to 1."""

    completion: float = 0.4
    quiz: float = 0.3
    quality: float = 0.2
    consistency: float = 0.1


class Level(msgspec.Struct, frozen=True):
    """A band of scores, from ``from_score`` (included) up to the next level's."""

    name: str
    from_score: float


class RulesRecord(msgspec.Struct, frozen=True):
    """The rules that hold in a course. ``half_life_days`` is that of quizzes and reviews."""

    weights: Weights
    levels: list[Level]
    half_life_days: float


class Skill(msgspec.Struct, frozen=True):
    """One skill to learn; ``minutes`` is the time it takes from nothing, ``prerequisites`` are ids of skills.

    ``aliases`` are other names of it, such as those of a standard: events may name it by any of them.
    """

    id: str
    title: str
    prerequisites: list[str]
    minutes: int
    difficulty: Difficulty
    resources: list[str]
    aliases: list[str] = msgspec.field(default_factory=list)


class Module(msgspec.Struct, frozen=True):
    """A part of the course."""

    id: str
    title: str
    skills: list[Skill]


class OutlineRecord(msgspec.Struct, frozen=True):
    """A course's modules, with their skills."""

    modules: list[Module]


class CourseRecord(Response, frozen=True, kw_only=True):
    """A course as it holds now, whatever of it was set, and the rest by default.

    ``version`` counts the changes: 0 where nobody has set anything. ``badges`` is the level at which a badge is issued.
    """

    course_id: str
    title: str
    time_zone: str
    language: str
    rules: RulesRecord
    curriculum: OutlineRecord
    items: list[CourseItem]
    badges: str | None
    version: int


class DeliveryEntry(Response, frozen=True, kw_only=True):
    """A message to a webhook: ``id`` is its webhook-id, ``student_id`` whom it is about.

    ``outcome`` is what came of the last attempt; ``next_attempt`` is when it may be tried again, null once it ended.
    """

    id: str
    type: str
    student_id: str
    state: DeliveryState
    attempts: int
    outcome: str
    queued: datetime.datetime
    last_attempt: datetime.datetime | None
    next_attempt: datetime.datetime | None
    ended: datetime.datetime | None


class DeliveryList(TableResponse, frozen=True, kw_only=True):
    """A page of a webhook's deliveries, newest first; ``next_cursor`` leads to the next one, null on the last."""

    webhook_id: str
    deliveries: list[DeliveryEntry]
    next_cursor: str | None

    _rows = "deliveries"
    _row = DeliveryEntry


class Dependency(msgspec.Struct, frozen=True):
    """One dependency of the service; ``latency_ms`` is null if it is down, and ``message`` says why.

    ``warnings`` are settings of its servers by which data may be lost.
    """

    name: str
    status: DependencyStatus
    latency_ms: float | None
    message: str | None = None
    warnings: list[str] = msgspec.field(default_factory=list)


class DoorResult(msgspec.Struct, frozen=True):
    """What became of one message.

    ``id`` is the sender's, null where it gave none. ``reason`` says why it is ignored or refused, and of evidence what
    was not taken as it stood. ``events`` are the ids of the learning events that it became.
    """

    id: str | None
    status: MessageStatus
    reason: str | None
    events: list[str]


class DoorResults(TableResponse, frozen=True, kw_only=True):
    """What became of each message, in their order."""

    results: list[DoorResult]

    _rows = "results"
    _row = DoorResult


class StaysUntil(msgspec.Struct, frozen=True):
    """A place where an erasure cannot remove data, and until when they stay; null if the engine cannot know."""

    where: str
    until: datetime.datetime | None


class Erasure(Response, frozen=True, kw_only=True):
    """What was erased. ``proof`` is a keyed hash, by PSEUDONYM_KEY, of the student and the moment."""

    pseudonym: str
    erased_at: datetime.datetime
    removed_from_store: int
    removed_from_log: int
    ages_out: list[StaysUntil]
    proof: str


class EstimatedCompletion(msgspec.Struct, frozen=True):
    """The days on which the path will be done: at the earliest, expected, and at the latest."""

    earliest: datetime.date
    expected: datetime.date
    latest: datetime.date


class EventStatus(Response, frozen=True, kw_only=True):
    """Whether an event was processed. ``not_processed`` means: not yet, or never received."""

    event_id: str
    status: EventProgress
    reason: Problem | None = None


class HeldDay(msgspec.Struct, frozen=True):
    """The mastery at the end of a day."""

    date: datetime.date
    mastery_score: float
    level: str
    completion: float | None
    quiz: float | None
    quality: float | None
    consistency: float | None


class HeldLetter(msgspec.Struct, frozen=True):
    """An event that could not be processed, and why; ``content`` is what was sent, as text."""

    event_id: str | None
    code: str
    message: str
    at: datetime.datetime
    content: str | None


class HeldEvent(msgspec.Struct, frozen=True):
    """An event as stored in the log; ``content`` is what was sent, as text."""

    partition: int
    offset: int
    received: datetime.datetime
    event_id: str
    content: str


class HeldMembership(msgspec.Struct, frozen=True):
    """A cohort that knows of the student: whether they are in it, and by whom, events or an admin, or teach it."""

    cohort_id: str
    name: str
    is_member: bool
    joined_by_events: bool
    put_in_by_admin: bool
    taken_out_by_admin: bool
    teaches: bool
    course_id: str


class HeldRow(msgspec.Struct, frozen=True):
    """A row about the student in a batch that waits; ``index`` is its place, from 0."""

    index: int
    components: ComponentValues
    problem: Problem | None


class HeldBatch(msgspec.Struct, frozen=True):
    """What a batch of calculations holds about the student; without any row their sender's token names them."""

    batch_id: str
    created: datetime.datetime
    is_sent_by_student: bool
    rows: list[HeldRow]
    results: list[BatchResult]
    failures: list[BatchFailure]


class HeldCourse(msgspec.Struct, frozen=True):
    """What is held about a student in a course other than the default one."""

    course_id: str
    document: dict[str, Any]
    history: list[HeldDay]


class Identity(msgspec.Struct, frozen=True):
    """A person's ``id`` in a ``system``: an issuer and its ``sub``, a mailbox, a ``sourcedId`` of a roster.

    Both are any text of up to 300 characters, NFC-normalised and trimmed.
    """

    system: str
    id: str


class ProfileRecord(Response, frozen=True, kw_only=True):
    """A student's profile; null where nobody set a name or a language."""

    student_id: str
    display_name: str | None
    language: str | None
    external: list[Identity]


class HeldResource(msgspec.Struct, frozen=True):
    """A document that another platform keeps here about the student (xAPI's State and Agent Profile).

    ``about`` names the resource, the agent and the activity. The content is text, or Base64 where it is none.
    """

    name: str
    about: dict[str, Any]
    content_type: str
    updated: datetime.datetime
    content: str
    registration: str | None = None
    is_base64: bool = False


class HeldDelivery(msgspec.Struct, frozen=True):
    """A message about the student to another service, and what became of it; ``content`` is what is sent, as text."""

    sink: str
    delivery_id: str
    queued: datetime.datetime
    state: DeliveryState
    attempts: int
    content: str
    outcome: str = ""
    tried: datetime.datetime | None = None
    ended: datetime.datetime | None = None


class HeldEntry(msgspec.Struct, frozen=True):
    """A record about the student that a door to others keeps; ``content`` is what it says, as text where it is none."""

    table: str
    key: str
    content: Any


class NoteRecord(Response, frozen=True, kw_only=True):
    """A teacher's note on a student: plain text. ``changed`` is null where its author never changed it.

    ``expires`` is when it is removed by itself; each change puts that off.
    """

    note_id: str
    student_id: str
    course_id: str
    author: str
    text: str
    written: datetime.datetime
    changed: datetime.datetime | None
    expires: datetime.datetime


class Export(Response, frozen=True, kw_only=True):
    """Everything that is held about a student. ``events`` is null if only a scan of the log would find them.

    ``document`` is the whole document by the names of its fields; ids of applied events are hashes, in hexadecimal. It
    and ``history`` are those of the default course; each other course stands in ``courses``, which is there if any is.
    ``statements`` are those of xAPI about the student, without who else is in them, and ``resources`` what other
    platforms keep here about the student (State, Agent Profile); ``deliveries`` are what is or was sent to other
    services about the student, and ``entries`` what doors to them keep; ``notes`` are what teachers wrote down about
    the student. Each is there if there are any.
    """

    student_id: str
    tenant: str
    exported_at: datetime.datetime
    document: dict[str, Any] | None
    history: list[HeldDay]
    consent: Consent
    audit: list[AuditEntry]
    dead_letters: list[HeldLetter]
    events: list[HeldEvent] | None
    cohorts: list[HeldMembership]
    batches: list[HeldBatch]
    elsewhere: list[StaysUntil]
    courses: list[HeldCourse] = msgspec.field(default_factory=list)
    profile: ProfileRecord | None = None
    statements: list[dict[str, Any]] = msgspec.field(default_factory=list)
    resources: list[HeldResource] = msgspec.field(default_factory=list)
    deliveries: list[HeldDelivery] = msgspec.field(default_factory=list)
    entries: list[HeldEntry] = msgspec.field(default_factory=list)
    notes: list[NoteRecord] = msgspec.field(default_factory=list)


class ForecastCalibration(msgspec.Struct, frozen=True):
    """Whether forecasts are true of the course that they are about.

    ``student_weeks`` is the number of past weeks of the course's students whose forecast, made as it would have been,
    was held against what came, by the moment ``as_of``. ``coverage`` is the share of them in which the 80% interval
    held, null where there are too few to tell. ``calibrated`` says that there are enough for the forecast to be
    corrected by them; until then its interval is wide enough for classes never seen.
    """

    calibrated: bool
    coverage: float | None
    student_weeks: int
    as_of: datetime.datetime | None


class ForecastDay(msgspec.Struct, frozen=True):
    """One day: the median of the score, and the 10% and 90% points of its distribution."""

    date: datetime.date
    score: float
    lower: float
    upper: float


class FoundPattern(msgspec.Struct, frozen=True):
    """A pattern that a tutor would notice: its strength (0 to 1), the day since when it holds, and the evidence."""

    kind: FoundPatternKind
    strength: float
    since: datetime.date
    evidence: str


class FoundStudent(msgspec.Struct, frozen=True):
    """A student whom the caller may see, with their name, null where nobody set one.

    ``cohorts`` are those that the student is in, of those that the caller may see.
    """

    student_id: str
    display_name: str | None
    cohorts: list[str]


class Health(Response, frozen=True, kw_only=True):
    """The process answers."""

    status: HealthStatus = "healthy"


class HistoryPoint(msgspec.Struct, frozen=True):
    """A day's score, or the mean of a week's (``date``: its Monday) or a month's (its first)."""

    date: datetime.date
    mastery_score: float
    level: str


class HistorySummary(msgspec.Struct, frozen=True):
    """The summary of the daily points; ``improvement`` is the last less the first. Null if there are none."""

    average: float | None
    highest: float | None
    lowest: float | None
    improvement: float | None


class RosterChanges(msgspec.Struct, frozen=True):
    """How many were added, changed, taken away, and found as they are."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0


class RosterRow(msgspec.Struct, frozen=True):
    """A row that was not taken, or not wholly: its file, its line (1 is the header's), its sourcedId, and why."""

    file: str
    line: int
    sourced_id: str
    reason: str


class ImportedRoster(Response, frozen=True, kw_only=True):
    """What an import changed, or would change (``dry_run``).

    ``students`` and ``teachers`` count places in classes. Of the rows that were ignored or wrong, the first 1,000 are
    listed, and all are counted.
    """

    version: str
    dry_run: bool
    users: RosterChanges
    classes: RosterChanges
    students: RosterChanges
    teachers: RosterChanges
    ignored_count: int
    wrong_count: int
    ignored: list[RosterRow]
    wrong: list[RosterRow]


class Receipt(Response, frozen=True, kw_only=True):
    """The outcome of one event. ``ignored`` names the unknown fields of the envelope."""

    event_id: str | None
    status: ReceiptStatus
    error: Problem | None = None
    ignored: list[str] | None = None


class IngestResponse(TableResponse, frozen=True, kw_only=True):
    """The outcome of many events, in the request's order."""

    accepted: int
    refused: int
    results: list[Receipt]

    _rows = "results"
    _row = Receipt


class ItemToAnswer(msgspec.Struct, frozen=True):
    """An item to answer next, and why. ``probability`` is that of a right answer; ``skill`` the first that it has."""

    item_id: str
    title: str | None
    url: str | None
    skill: str | None
    probability: float
    reason: str


class PathStep(msgspec.Struct, frozen=True):
    """One skill on a learning path, and the reason for it."""

    skill: str
    minutes: int
    reason: str


class ScheduledDay(msgspec.Struct, frozen=True):
    """What to work on, on one day."""

    date: datetime.date
    skills: list[str]


class LearningPath(TableResponse, frozen=True, kw_only=True):
    """The path to a goal: its steps in order, when it will be done, and what to do on each day."""

    student_id: str
    goal: Goal
    topic: str | None
    steps: list[PathStep]
    estimated_completion: EstimatedCompletion
    schedule: list[ScheduledDay]

    _rows = "steps"
    _row = PathStep


class MasteryHistory(TableResponse, frozen=True, kw_only=True):
    """The scores of a range of days."""

    student_id: str
    start_date: datetime.date
    end_date: datetime.date
    aggregation: Aggregation
    history: list[HistoryPoint]
    summary: HistorySummary

    _rows = "history"
    _row = HistoryPoint


class NextAnswer(msgspec.Struct, frozen=True):
    """How likely the student's next answer to an item is right.

    ``uncertainty`` is the standard error of the probability. ``basis`` says what is known best: the ``item`` itself,
    its ``skills``, or neither (``prior``), so that the student's general level and last answers alone speak. Known are
    the 20 items answered last, all skills within the retention, and what the parameters say of others.
    """

    item_id: str
    probability: float
    uncertainty: float
    basis: AnswerBasis


class NoteList(TableResponse, frozen=True, kw_only=True):
    """The notes on a student, those written last first."""

    notes: list[NoteRecord]

    _rows = "notes"
    _row = NoteRecord


class OpenStruggle(msgspec.Struct, frozen=True):
    """A topic on which the student is stuck, since when, and the evidence."""

    topic: str
    pattern: str
    since: datetime.datetime
    evidence: str


class Outcome(Response, frozen=True, kw_only=True):
    """What Dapr should do with the event: nothing more, deliver it again, or drop it."""

    status: OutcomeStatus


class PathAhead(msgspec.Struct, frozen=True):
    """The first steps of the learning path to this goal, as ``/recommendations/learning-path`` gives it too."""

    goal: AheadGoal
    steps: list[PathStep]


class Prediction(TableResponse, frozen=True, kw_only=True):
    """The forecast for the next days, nearest first. ``predicted_score`` is the last day's median.

    ``confidence`` is the probability that the score then lies within 0.05 of it; ``intervention_needed`` says that the
    score is more likely than not below 0.50 then, or a level lower than now.
    """

    student_id: str
    current_score: float
    predicted_score: float
    confidence: float
    trend: Trend
    intervention_needed: bool
    timeframe_days: int
    days: list[ForecastDay]
    calibration: ForecastCalibration

    _rows = "days"
    _row = ForecastDay


class ReadinessReport(Response, frozen=True, kw_only=True):
    """Whether all dependencies answer."""

    status: ReadinessReportStatus
    dependencies: list[Dependency]


class RemovedNote(Response, frozen=True, kw_only=True):
    """The note that was removed."""

    note_id: str
    student_id: str


class RemovedWebhook(Response, frozen=True, kw_only=True):
    """A webhook that was removed, and how many deliveries were with it, sent and unsent."""

    webhook_id: str
    deliveries: int


class ServiceInfo(Response, frozen=True, kw_only=True):
    """The name, version and environment of the service."""

    name: str
    version: str
    environment: str


class SetWebhook(Response, frozen=True, kw_only=True):
    """A webhook as it was set. ``secret`` is there if it is new: it is shown now and never again."""

    webhook_id: str
    url: str
    types: list[str]
    description: str
    active: bool
    inactive_because: str | None
    secrets: int
    created: datetime.datetime
    changed: datetime.datetime
    secret: str | None = None


class SkillState(msgspec.Struct, frozen=True):
    """One skill. ``probability`` is that of a right next answer, ``forgotten`` how much it has sunk since the last.

    ``uncertainty`` is the standard error of the probability. ``basis`` is what weighs most of the student's own
    evidence on the skill: answers or exercises; or the prior, which is what is expected of this student without any.
    ``last_practised`` is null where there is none.
    """

    skill: str
    probability: float
    uncertainty: float
    forgotten: float
    last_practised: datetime.datetime | None
    answers: int
    basis: SkillBasis


class StudentList(TableResponse, frozen=True, kw_only=True):
    """A page of students, by id; ``next_cursor`` leads to the next one, null on the last."""

    students: list[FoundStudent]
    next_cursor: str | None

    _rows = "students"
    _row = FoundStudent


class StudentMastery(Response, frozen=True, kw_only=True):
    """The answer to a query. ``historical_average`` is the mean of the daily points within the retention.

    ``courses`` are all of the student's, by id, if there are several.
    """

    student_id: str
    current_mastery: CurrentMastery
    historical_average: float | None
    trend: Trend
    last_updated: datetime.datetime
    learning_path: PathAhead | None = None
    courses: list[CourseMastery] | None = None


class StudentPatterns(TableResponse, frozen=True, kw_only=True):
    """A student's patterns, the strongest first, and the struggles that are open."""

    student_id: str
    patterns: list[FoundPattern]
    struggles: list[OpenStruggle]

    _rows = "patterns"
    _row = FoundPattern


class StudentSkills(TableResponse, frozen=True, kw_only=True):
    """The skills that a student has evidence on, the best known first."""

    student_id: str
    skills: list[SkillState]

    _rows = "skills"
    _row = SkillState


class Subscription(msgspec.Struct, frozen=True, rename={"dead_letter_topic": "deadLetterTopic"}):
    """A topic that Dapr should deliver, and the route to deliver it to."""

    pubsubname: str
    topic: str
    route: str
    dead_letter_topic: str


class TrajectoryPoint(msgspec.Struct, frozen=True):
    """A past day's score, as it was known then."""

    date: datetime.date
    score: float
    level: str


class Trajectory(TableResponse, frozen=True, kw_only=True):
    """The past days with a score, the ``trend`` of the last 14 days, and the forecast of the next 7 days."""

    student_id: str
    days: int
    trend: Trend
    points: list[TrajectoryPoint]
    forecast: list[ForecastDay]
    predicted_score: float
    confidence: float
    intervention_needed: bool
    timeframe_days: int
    calibration: ForecastCalibration

    _rows = "points"
    _row = TrajectoryPoint


class TriedWebhook(Response, frozen=True, kw_only=True):
    """What came of a test message, which is sent once: whether the receiver took it, and what it answered."""

    webhook_id: str
    id: str
    delivered: bool
    outcome: str


class WebhookRecord(Response, frozen=True, kw_only=True):
    """A webhook. ``inactive_because`` says why nothing is sent to it, null while it is active.

    ``secrets`` is how many secrets sign now: more than one for 24 hours after a new one was asked for.
    """

    webhook_id: str
    url: str
    types: list[str]
    description: str
    active: bool
    inactive_because: str | None
    secrets: int
    created: datetime.datetime
    changed: datetime.datetime


class WebhookList(TableResponse, frozen=True, kw_only=True):
    """The webhooks of a tenant, by id."""

    webhooks: list[WebhookRecord]

    _rows = "webhooks"
    _row = WebhookRecord
