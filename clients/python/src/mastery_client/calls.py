"""The calls of the engine, by the operation ids of its OpenAPI document.

Made by `make contracts` from the OpenAPI document; don't edit.
"""

from typing import Any

from mastery_client.answers import (
    AuditTrail,
    BadgeEntry,
    BadgeList,
    BatchResponse,
    BatchState,
    Calculated,
    Changes,
    CohortFigures,
    CohortRecord,
    Comparison,
    Consent,
    CourseList,
    CourseRecord,
    DeliveryEntry,
    DeliveryList,
    DoorResults,
    Erasure,
    EventStatus,
    Export,
    Health,
    ImportedRoster,
    IngestResponse,
    ItemToAnswer,
    LearningPath,
    MasteryHistory,
    NextAnswer,
    NoteList,
    NoteRecord,
    Outcome,
    Prediction,
    ProfileRecord,
    ReadinessReport,
    Receipt,
    Recommended,
    RemovedNote,
    RemovedWebhook,
    ServiceInfo,
    SetWebhook,
    StudentList,
    StudentMastery,
    StudentPatterns,
    StudentSkills,
    Subscription,
    Trajectory,
    TriedWebhook,
    WebhookList,
    WebhookRecord,
)
from mastery_client.call import Call
from mastery_client.response import RowList

QUERY = Call[StudentMastery]("query", "POST", "/mastery/query", {200: StudentMastery}, repeats=True)
CALCULATE = Call[Calculated]("calculate", "POST", "/mastery/calculate", {200: Calculated}, keyed=True)
CALCULATE_BATCH = Call[BatchResponse | BatchState](
    "calculate_batch", "POST", "/batch/mastery", {200: BatchResponse, 202: BatchState}, keyed=True
)
BATCH_STATUS = Call[BatchState]("batch_status", "GET", "/batch/mastery/{batch_id}", {200: BatchState}, repeats=True)
INGEST = Call[Receipt]("ingest", "POST", "/mastery/ingest", {202: Receipt}, keyed=True)
INGEST_BATCH = Call[IngestResponse]("ingest_batch", "POST", "/mastery/ingest/batch", {202: IngestResponse}, keyed=True)
EVENT_STATUS = Call[EventStatus](
    "event_status", "GET", "/students/{student_id}/events/{event_id}", {200: EventStatus}, repeats=True
)
CHANGES = Call[Changes]("changes", "POST", "/analytics/changes", {200: Changes}, repeats=True)
HISTORY = Call[MasteryHistory]("history", "POST", "/analytics/mastery-history", {200: MasteryHistory}, repeats=True)
SKILLS = Call[StudentSkills]("skills", "POST", "/analytics/skills", {200: StudentSkills}, repeats=True)
STREAM = Call[str]("stream", "GET", "/students/{student_id}/stream", repeats=True, accept="text/event-stream")
NEXT_WEEK = Call[Prediction]("next_week", "POST", "/predictions/next-week", {200: Prediction}, repeats=True)
TRAJECTORY = Call[Trajectory]("trajectory", "POST", "/predictions/trajectory", {200: Trajectory}, repeats=True)
NEXT_ANSWER = Call[RowList[NextAnswer]](
    "next_answer", "POST", "/predictions/next-answer", {200: list[NextAnswer]}, row=NextAnswer, repeats=True
)
SET_COHORT = Call[CohortRecord]("set_cohort", "PUT", "/cohorts/{cohort_id}", {200: CohortRecord}, keyed=True)
COHORT_MEMBERS = Call[CohortRecord]("cohort_members", "GET", "/cohorts/{cohort_id}", {200: CohortRecord}, repeats=True)
COMPARE = Call[Comparison]("compare", "POST", "/analytics/compare", {200: Comparison}, repeats=True)
COHORT = Call[CohortFigures]("cohort", "POST", "/analytics/cohort", {200: CohortFigures}, repeats=True)
SET_COURSE = Call[CourseRecord]("set_course", "PUT", "/courses/{course_id}", {200: CourseRecord}, keyed=True)
COURSE = Call[CourseRecord]("course", "GET", "/courses/{course_id}", {200: CourseRecord}, repeats=True)
COURSES = Call[CourseList]("courses", "GET", "/courses", {200: CourseList}, repeats=True)
SET_PROFILE = Call[ProfileRecord](
    "set_profile", "PUT", "/students/{student_id}/profile", {200: ProfileRecord}, keyed=True
)
PROFILE = Call[ProfileRecord]("profile", "GET", "/students/{student_id}/profile", {200: ProfileRecord}, repeats=True)
STUDENTS = Call[StudentList]("students", "GET", "/students", {200: StudentList}, repeats=True)
IMPORT_ROSTER = Call[ImportedRoster](
    "import_roster", "POST", "/rosters/oneroster", {200: ImportedRoster}, keyed=True, content_type="application/zip"
)
SEND_CALIPER = Call[DoorResults]("send_caliper", "POST", "/caliper", {200: DoorResults}, keyed=True)
SEND_CANVAS = Call[DoorResults]("send_canvas", "POST", "/canvas/events", {200: DoorResults}, keyed=True)
RECOMMENDATIONS = Call[RowList[Recommended]](
    "recommendations", "POST", "/recommendations/adaptive", {200: list[Recommended]}, row=Recommended, repeats=True
)
LEARNING_PATH = Call[LearningPath](
    "learning_path", "POST", "/recommendations/learning-path", {200: LearningPath}, repeats=True
)
NEXT_ITEMS = Call[RowList[ItemToAnswer]](
    "next_items", "POST", "/recommendations/items", {200: list[ItemToAnswer]}, row=ItemToAnswer, repeats=True
)
PATTERNS = Call[StudentPatterns]("patterns", "POST", "/analytics/patterns", {200: StudentPatterns}, repeats=True)
BADGES = Call[BadgeList]("badges", "GET", "/students/{student_id}/badges", {200: BadgeList}, repeats=True)
SET_BADGE_NAME = Call[BadgeEntry](
    "set_badge_name", "PUT", "/students/{student_id}/badges/{badge_id}/name", {200: BadgeEntry}, keyed=True
)
BADGE_STATUS_LIST = Call[dict[str, Any]](
    "badge_status_list", "GET", "/badges/status/{number}", {200: dict[str, Any]}, bare=True, repeats=True
)
BADGE_SVG = Call[str]("badge_svg", "GET", "/badges/{badge_id}.svg", repeats=True, accept="image/svg+xml")
BADGE_PNG = Call[bytes]("badge_png", "GET", "/badges/{badge_id}.png", repeats=True, accept="image/png")
BADGE_JSON = Call[dict[str, Any]](
    "badge_json", "GET", "/badges/{badge_id}.json", {200: dict[str, Any]}, bare=True, repeats=True
)
BADGE_JWT = Call[str]("badge_jwt", "GET", "/badges/{badge_id}.jwt", repeats=True, accept="application/vc+jwt")
BADGE = Call[dict[str, Any]]("badge", "GET", "/badges/{badge_id}", {200: dict[str, Any]}, bare=True, repeats=True)
REVOKE_BADGE = Call[BadgeEntry]("revoke_badge", "DELETE", "/badges/{badge_id}", {200: BadgeEntry})
DID_DOCUMENT = Call[dict[str, Any]](
    "did_document", "GET", "/.well-known/did.json", {200: dict[str, Any]}, bare=True, repeats=True
)
NOTES = Call[NoteList]("notes", "GET", "/students/{student_id}/notes", {200: NoteList}, repeats=True)
ADD_NOTE = Call[NoteRecord]("add_note", "POST", "/students/{student_id}/notes", {200: NoteRecord}, keyed=True)
CHANGE_NOTE = Call[NoteRecord](
    "change_note", "PUT", "/students/{student_id}/notes/{note_id}", {200: NoteRecord}, keyed=True
)
DELETE_NOTE = Call[RemovedNote]("delete_note", "DELETE", "/students/{student_id}/notes/{note_id}", {200: RemovedNote})
HEALTH = Call[Health]("health", "GET", "/health", {200: Health})
READY = Call[ReadinessReport]("ready", "GET", "/ready", {200: ReadinessReport})
SERVICE = Call[ServiceInfo]("service", "GET", "/", {200: ServiceInfo}, repeats=True)
METRICS = Call[str]("metrics", "GET", "/metrics", repeats=True, accept="text/plain")
PROCESS = Call[Any]("process", "POST", "/process", {200: Any, 202: Any}, keyed=True)
DAPR_SUBSCRIPTIONS = Call[RowList[Subscription]](
    "dapr_subscriptions", "GET", "/dapr/subscribe", {200: list[Subscription]}, row=Subscription, bare=True, repeats=True
)
DAPR_EVENT = Call[Outcome]("dapr_event", "POST", "/dapr/events", {200: Outcome}, bare=True)
CONSENT = Call[Consent]("consent", "GET", "/compliance/students/{student_id}/consent", {200: Consent}, repeats=True)
SET_CONSENT = Call[Consent](
    "set_consent", "PUT", "/compliance/students/{student_id}/consent", {200: Consent}, keyed=True
)
ERASE = Call[Erasure]("erase", "DELETE", "/compliance/students/{student_id}", {200: Erasure})
EXPORT = Call[Export]("export", "GET", "/compliance/students/{student_id}/export", {200: Export}, repeats=True)
AUDIT = Call[AuditTrail]("audit", "GET", "/compliance/audit", {200: AuditTrail}, repeats=True)
SET_WEBHOOK = Call[SetWebhook]("set_webhook", "PUT", "/webhooks/{webhook_id}", {200: SetWebhook}, keyed=True)
WEBHOOK = Call[WebhookRecord]("webhook", "GET", "/webhooks/{webhook_id}", {200: WebhookRecord}, repeats=True)
DELETE_WEBHOOK = Call[RemovedWebhook]("delete_webhook", "DELETE", "/webhooks/{webhook_id}", {200: RemovedWebhook})
WEBHOOKS = Call[WebhookList]("webhooks", "GET", "/webhooks", {200: WebhookList}, repeats=True)
DELIVERIES = Call[DeliveryList](
    "deliveries", "GET", "/webhooks/{webhook_id}/deliveries", {200: DeliveryList}, repeats=True
)
RESEND_DELIVERY = Call[DeliveryEntry](
    "resend_delivery", "POST", "/webhooks/{webhook_id}/deliveries/{delivery_id}/resend", {200: DeliveryEntry}
)
TRY_WEBHOOK = Call[TriedWebhook]("try_webhook", "POST", "/webhooks/{webhook_id}/test", {200: TriedWebhook})
