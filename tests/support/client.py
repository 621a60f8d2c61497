"""A school behind a socket, in a thread of its own, for both clients; and each call with sensible words."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mastery_client import AsyncMasteryClient, MasteryClient
from mastery_client.requests import AskedItem, GivenComponents, RowBody
from mastery_engine.auth.access import Caller
from tests.support.calls import COHORT, Api, enrolled, event, listening
from tests.support.live import make_token
from tests.support.receivers import HookServer
from tests.support.rosters import school as roster

Runs = Callable[[Coroutine[Any, Any, Any]], Any]
ADA, BEA = "s5", "s4"
APP_TOKEN = "the-sidecars-word-0123456789-0123456789"
ADDRESS = "https://mastery.school.example"
EVERY_DAY = tuple(range(0, 30, 2))


@dataclass
class School:
    """A running engine with a class of six, whose last two have a long history, badges and a webhook."""

    url: str
    api: Api
    run: Runs
    admin: str = field(default_factory=make_token)
    batch_id: str = ""
    event_id: str = ""
    delivery_id: str = ""
    badges: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    platform: str = ""
    clients: dict[str, MasteryClient] = field(default_factory=dict)
    async_clients: dict[str, AsyncMasteryClient] = field(default_factory=dict)
    spare: Iterator[int] = field(default_factory=lambda: iter(range(100)))

    def tokens(self, call: str) -> dict[str, Any]:
        """What a client of a call is to be given: most are an admin's, some a platform's or the sidecar's."""
        if call.startswith("dapr_"):
            return {"headers": {"dapr-api-token": APP_TOKEN}}
        if call == "set_badge_name":
            return {"token": make_token("student", subject=ADA)}
        return {"token": self.platform if call.startswith("send_") else self.admin}

    def client(self, call: str = "") -> MasteryClient:
        """A client for a call, shared by all calls of its kind: to make one takes longer than a call."""
        kind = str(self.tokens(call)) if call else ""
        if kind not in self.clients:
            self.clients[kind] = MasteryClient(self.url, **self.tokens(call))
        return self.clients[kind]

    def async_client(self, call: str = "") -> AsyncMasteryClient:
        """The same to be awaited, in the school's loop."""
        kind = str(self.tokens(call)) if call else ""
        if kind not in self.async_clients:
            self.async_clients[kind] = AsyncMasteryClient(self.url, **self.tokens(call))
        return self.async_clients[kind]

    async def close(self) -> None:
        """Close all clients."""
        for client in self.clients.values():
            client.close()
        for async_client in self.async_clients.values():
            await async_client.close()


@contextmanager
def a_school(home: Path) -> Iterator[School]:
    """The school, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    opened: Future[School] = Future()
    closing = asyncio.Event()
    until_closed = asyncio.run_coroutine_threadsafe(_held(home, run, opened, closing), loop)
    try:
        yield opened.result(60)
    finally:
        loop.call_soon_threadsafe(closing.set)
        until_closed.result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _held(home: Path, run: Runs, opened: "Future[School]", closing: asyncio.Event) -> None:
    """Opens the school, and closes it when told."""
    settings = {"app_api_token": APP_TOKEN, "webhook_allow_private": True, "public_url": ADDRESS}
    async with HookServer().listening() as hooks, listening(home, **settings) as api:
        school = School(str(api.client.base_url).rstrip("/"), api, run)
        try:
            await _filled(school, hooks.url)
        except Exception as error:  # noqa: BLE001  whoever waits for the school is to be told, and it is to close
            opened.set_exception(error)
            return
        opened.set_result(school)
        await closing.wait()
        await school.close()


async def _filled(school: School, hooks: str) -> None:
    api = school.api
    items = [{"item_id": f"loops-{n}", "skills": ["loops"], "title": f"Loops {n}"} for n in range(3)]
    await api.call("PUT", "/courses/default", {"title": "Python", "badges": "developing", "items": items})
    for name in ("art", "physics"):
        await api.call("PUT", f"/courses/{name}", {"title": name.title()})
    for name in ("lms", "gone-0", "gone-1"):
        put = await api.call("PUT", f"/webhooks/{name}", {"url": hooks})
        assert put.status_code == 200, put.text
    await api.call("PUT", f"/students/{ADA}/profile", {"display_name": "Ada Lovelace"})
    history = [
        one
        for student in (ADA, BEA)
        for days_ago in reversed(EVERY_DAY)
        for one in (
            enrolled(student, 10 - days_ago // 4, days_ago=days_ago),
            event("answer", student_id=student, days_ago=days_ago, correct=days_ago % 4 == 0),
            event("completion", student_id=student, days_ago=days_ago, topic="loops", completed_exercises=9),
        )
    ]
    history += [event("help", student_id="s0", topic="loops", message="I'm stuck")]
    ids = await api.learn(*history, *(enrolled(f"s{n}", n) for n in range(4)))
    school.event_id = ids[0]
    for text in ("first", "second", "third"):
        school.notes.append((await api.post(f"/students/{ADA}/notes", {"text": text})).json()["data"]["note_id"])
    many = {"requests": [{"student_id": ADA}] * 101, "record": False}
    school.batch_id = (await api.data("/batch/mastery", many))["batch_id"]
    school.platform = (
        await api.engine.credentials.create(Caller("tests", "admin"), "LMS", doors=("caliper", "canvas"))
    ).secret
    async with asyncio.timeout(20):
        for student in (ADA, BEA):
            while not (found := (await api.get(f"/students/{student}/badges")).json()["data"]["badges"]):
                await asyncio.sleep(0.05)
            school.badges[student] = found[0]["badge_id"]
        while not (sent := (await api.get("/webhooks/lms/deliveries")).json()["data"]["deliveries"]):
            await asyncio.sleep(0.05)
    school.delivery_id = sent[0]["id"]


Call = Callable[[Any, School], Any]
TODAY = datetime.now(UTC).date()
QUIZ = {"total_questions": 4, "correct_answers": 3}
GRADE = {"event_name": "course_created", "event_time": "2026-01-14T10:30:00Z"}

# Each call of the client with sensible words, for the sync client and for the async one alike.
CALLS: Mapping[str, Call] = {
    "query": lambda engine, _: engine.query(ADA, include_components=True, course_id="default"),
    "calculate": lambda engine, _: engine.calculate(ADA, components=GivenComponents(quiz=0.5), record=False),
    "calculate_batch": lambda engine, _: engine.calculate_batch(
        [RowBody(ADA), {"student_id": "no spaces"}, RowBody(BEA, components={"quiz": 1.0})], record=False
    ),
    "batch_status": lambda engine, school: engine.batch_status(school.batch_id),
    "ingest": lambda engine, _: engine.ingest("quiz", "newcomer", QUIZ, metadata={"via": "tests"}),
    "ingest_batch": lambda engine, _: engine.ingest_batch([event("quiz", student_id="newcomer"), {"x": 1}]),
    "event_status": lambda engine, school: engine.event_status(ADA, school.event_id),
    "changes": lambda engine, _: engine.changes(ADA, from_=TODAY - timedelta(days=7), to=TODAY),
    "history": lambda engine, _: engine.history(ADA, start_date=TODAY - timedelta(days=60), aggregation="weekly"),
    "skills": lambda engine, _: engine.skills(ADA),
    "stream": lambda engine, _: engine.stream(ADA),
    "next_week": lambda engine, _: engine.next_week(ADA, timeframe_days=3),
    "trajectory": lambda engine, _: engine.trajectory(ADA, days=30),
    "next_answer": lambda engine, _: engine.next_answer(
        ADA, [AskedItem("loops-1"), {"item_id": "new", "skills": ["loops"]}], at=datetime.now(UTC) + timedelta(days=1)
    ),
    "set_cohort": lambda engine, _: engine.set_cohort(
        "edX/Demo 2026", "Demo", [ADA], calendar=[{"due": TODAY, "topic": "loops"}]
    ),
    "cohort_members": lambda engine, _: engine.cohort_members(COHORT, limit=2),
    "compare": lambda engine, _: engine.compare(ADA, COHORT, metric="by_component"),
    "cohort": lambda engine, _: engine.cohort(COHORT, limit=2),
    "set_course": lambda engine, _: engine.set_course("physics", title="Physics", time_zone="Pacific/Kiritimati"),
    "course": lambda engine, _: engine.course("default"),
    "courses": lambda engine, _: engine.courses(limit=1),
    "set_profile": lambda engine, _: engine.set_profile(
        BEA, display_name="Bea", external=[{"system": "openedx", "id": "bea"}]
    ),
    "profile": lambda engine, _: engine.profile(ADA),
    "students": lambda engine, _: engine.students(query="ada", cohort_id=COHORT),
    "import_roster": lambda engine, _: engine.import_roster(roster(), dry_run=True),
    "send_caliper": lambda engine, _: engine.send_caliper({"data": [{"type": "NavigationEvent"}]}),
    "send_canvas": lambda engine, _: engine.send_canvas({"metadata": GRADE, "body": {}}),
    "recommendations": lambda engine, _: engine.recommendations(ADA, limit=3, priority="low"),
    "learning_path": lambda engine, _: engine.learning_path(ADA, goal="prepare_assessment"),
    "next_items": lambda engine, _: engine.next_items(ADA, limit=2, target=0.8),
    "patterns": lambda engine, _: engine.patterns(ADA),
    "badges": lambda engine, _: engine.badges(ADA),
    "set_badge_name": lambda engine, school: engine.set_badge_name(ADA, school.badges[ADA], shown=True),
    "badge_status_list": lambda engine, _: engine.badge_status_list(0),
    "badge_svg": lambda engine, school: engine.badge_svg(school.badges[ADA]),
    "badge_png": lambda engine, school: engine.badge_png(school.badges[ADA]),
    "badge_json": lambda engine, school: engine.badge_json(school.badges[ADA]),
    "badge_jwt": lambda engine, school: engine.badge_jwt(school.badges[ADA]),
    "badge": lambda engine, school: engine.badge(school.badges[ADA]),
    "revoke_badge": lambda engine, school: engine.revoke_badge(school.badges[BEA]),
    "did_document": lambda engine, _: engine.did_document(),
    "notes": lambda engine, _: engine.notes(ADA),
    "add_note": lambda engine, _: engine.add_note(BEA, "Talked about loops."),
    "change_note": lambda engine, school: engine.change_note(ADA, school.notes[0], "Talked about loops, twice."),
    "delete_note": lambda engine, school: engine.delete_note(ADA, school.notes.pop()),
    "health": lambda engine, _: engine.health(),
    "ready": lambda engine, _: engine.ready(),
    "service": lambda engine, _: engine.service(),
    "metrics": lambda engine, _: engine.metrics(),
    "process": lambda engine, _: engine.process("query", {"student_id": ADA}),
    "dapr_subscriptions": lambda engine, _: engine.dapr_subscriptions(),
    "dapr_event": lambda engine, _: engine.dapr_event(event("quiz", student_id="newcomer")),
    "consent": lambda engine, _: engine.consent(ADA),
    "set_consent": lambda engine, _: engine.set_consent("newcomer", profiling=False),
    "erase": lambda engine, _: engine.erase("leaver"),
    "export": lambda engine, _: engine.export(ADA),
    "audit": lambda engine, _: engine.audit(
        call="query", from_=datetime(2026, 1, 1, tzinfo=UTC), allowed=True, limit=2
    ),
    "set_webhook": lambda engine, _: engine.set_webhook("lms", description="LMS", types=["mastery.updated"]),
    "webhook": lambda engine, _: engine.webhook("lms"),
    "delete_webhook": lambda engine, school: engine.delete_webhook(f"gone-{next(school.spare)}"),
    "webhooks": lambda engine, _: engine.webhooks(),
    "deliveries": lambda engine, _: engine.deliveries("lms", limit=1),
    "resend_delivery": lambda engine, school: engine.resend_delivery("lms", school.delivery_id),
    "try_webhook": lambda engine, _: engine.try_webhook("lms"),
}
