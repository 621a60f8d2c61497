"""The dashboard's pages as they are answered, without a browser: what they share, and what they leave out."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.errors import Busy, Unavailable
from mastery_engine.http.dashboard import class_routes, pages, student
from mastery_engine.http.middleware.body import Places
from mastery_engine.services import reports
from mastery_engine.wiring_clocks import system_clock
from tests.support.calibrated import learned
from tests.support.calls import STUDENT, Api, enrolled, event, serving
from tests.support.live import make_token
from tests.support.logs import letter
from tests.support.receivers import HookServer
from tests.support.samples import raw

PAGE = f"/dashboard/students/{STUDENT}"
TEACHER = {"role": "teacher", "students": [STUDENT]}


async def shown(api: Api, path: str = PAGE, **who: Any) -> str:
    answer = await api.client.get(path, headers={"Cookie": f"mastery_session={make_token(**who)}"})
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_all_who_look_at_once_share_one_rendering_and_are_on_record(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.learn(event("quiz"))
    made: list[str] = []

    def counted(name: str, **values: object) -> object:
        made.append(name)
        return part(name, **values)

    part = student.part
    monkeypatch.setattr(student, "part", counted)
    looks = await asyncio.gather(
        shown(api, subject="eva"), shown(api, subject="tom"), shown(api, role="student", subject=STUDENT)
    )
    assert made == ["student_body.html"] * 2, "one for whom it is about, and one for all others"
    names = zip(("eva", "tom", STUDENT), looks, strict=True)
    assert [f'<span class="who" dir="auto">{name}</span>' in page for name, page in names] == [True] * 3
    looked = [record.subject for record in await api.audited() if record.call == "student-page"]
    assert len(set(looked)) == 3
    await api.learn(event("quiz", correct_answers=1))
    assert re.findall(r'id="score">(\d+)%', await shown(api)) != re.findall(r'id="score">(\d+)%', looks[0])
    assert len(made) == 3


@pytest.mark.parametrize(
    "who", [{"role": "student", "subject": STUDENT}, TEACHER, {}], ids=["student", "teacher", "admin"]
)
@pytest.mark.parametrize("query", ["", "?course_id=default"])
async def test_a_page_reads_the_document_once(
    api: Api, monkeypatch: pytest.MonkeyPatch, who: dict[str, Any], query: str
) -> None:
    """So that all of it goes by the same document, too."""
    items = [{"item_id": "loops-1", "skills": ["for-loops"], "url": "https://school.example/loops-1"}]
    (await api.call("PUT", "/courses/default", {"items": items})).raise_for_status()
    await api.learn(event("quiz"), event("answer", skills=["for-loops"]))
    reader, read = type(api.engine.reader), []

    def counted(name: str) -> None:
        original = getattr(reader, name)

        async def reading(self: object, keys: object) -> object:
            read.append(keys)
            return await original(self, keys)

        monkeypatch.setattr(reader, name, reading)

    counted("of_students")
    counted("load")
    await shown(api, PAGE + query, **who)
    assert len(read) == 1


async def test_a_page_says_what_changed_since_last_week_and_why(api: Api) -> None:
    await api.learn(event("completion", days_ago=9, completed_exercises=10))
    await api.learn(event("completion", days_ago=2, topic="<loops>", completed_exercises=0))
    page = await shown(api)
    assert "What changed since last week" in page
    told = dict(re.findall(r'<li>([^<]+) <span class="moved \w+">([^<]+)</span>', page))
    assert told["Started “&lt;loops&gt;”: its open exercises count from now on"] == "−20.0"
    assert told["Active on 1 day"].startswith("+")
    assert told["6 days away"].startswith("−")


async def test_a_trend_is_told_of_days_that_have_one(api: Api) -> None:
    await api.learn(event("quiz", days_ago=15))
    await api.learn(event("quiz", days_ago=3))
    assert "Over the last two weeks" not in await shown(api)
    await api.learn(event("quiz", days_ago=1))
    assert re.search(r"Over the last two weeks: (rising|falling|steady)\.", await shown(api))


async def test_work_on_a_whole_module_is_not_beside_the_course(api: Api) -> None:
    await api.learn(event("answer", skills=["basics"]), event("answer", skills=["juggling"]))
    (beside,) = re.findall("Practised beside the course:(.*?)</p>", await shown(api, f"/dashboard/students/{STUDENT}"))
    assert re.findall('data-skill="([^"]+)"', beside) == ["juggling"]


async def test_who_may_not_see_how_the_service_fares_reads_that(api: Api) -> None:
    cookie = {"Cookie": f"mastery_session={make_token('teacher', students=[STUDENT])}"}
    for place in ("runbooks", "figures"):
        answer = await api.client.get(f"/dashboard/{place}", headers=cookie)
        assert answer.status_code == 403
        assert "may not see how the service fares" in answer.text


async def test_a_body_is_good_for_a_moment_only(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(student, "SHARED_S", 0.01)
    await api.learn(event("quiz"))
    await shown(api)
    await asyncio.sleep(0.05)
    assert not api.state["bodies"]._made


async def test_without_consent_to_profiling_nothing_is_made_of_it(api: Api) -> None:
    await api.learn(event("quiz"), event("answer"))
    assert 'class="band"' in await shown(api)
    await api.call("PUT", f"/compliance/students/{STUDENT}/consent", {"profiling": False})
    page = await shown(api)
    for left_out in ('class="band"', "data-ahead", 'id="h-skills"', 'id="h-next"', "Compare with"):
        assert left_out not in page
    assert 'class="line"' in page


async def test_a_student_page_names_the_classes_that_the_caller_may_compare_with(api: Api) -> None:
    await api.learn(event("quiz") | {"metadata": {"cohort_id": "py-101"}})
    await api.call("PUT", "/cohorts/a b&c", {"name": "x", "members": [STUDENT]})
    link = f"/dashboard/compare?student={STUDENT}&amp;cohort="
    assert re.findall(re.escape(link) + '([^"]+)', await shown(api)) == ["a%20b%26c", "py-101"]
    page = await shown(api, PAGE, role="teacher", cohorts=["py-101"])
    assert re.findall(re.escape(link) + '([^"]+)', page) == ["py-101"]
    assert link not in await shown(api, role="student", subject=STUDENT)


async def test_pages_say_in_words_whether_forecasts_are_calibrated(api: Api) -> None:
    await api.learn(event("quiz"))
    pages_with_words = (PAGE, {"role": "student", "subject": STUDENT}), (PAGE, {}), ("/dashboard", TEACHER)
    for path, who in pages_with_words:
        assert "Not calibrated for this course yet: it has 0 of the 300" in await shown(api, path, **who)
    assert "No course has learned from its past weeks yet" in await shown(api, "/dashboard", role="admin")
    await api.engine.calibrations.put(CourseKey("default"), learned(api.clock(), 412), api.clock())
    await asyncio.sleep(student.SHARED_S)
    for path, who in pages_with_words:
        words = "Calibrated for this course: the score came within the band in 81.2% of 412 past weeks of its students."
        assert words in await shown(api, path, **who)
    operators = await shown(api, "/dashboard", role="admin")
    row = '<th scope="row">default</th><td>yes</td><td>81.2%</td><td>412</td>'
    assert row in operators
    await api.engine.calibrations.put(CourseKey("default"), learned(api.clock(), 120, None), api.clock())
    operators = await shown(api, "/dashboard", role="admin")
    assert '<th scope="row">default</th><td>no, 180 weeks are missing</td><td></td><td>120</td>' in operators
    assert 'data-calibration="default"' not in await shown(api, "/dashboard", role="admin", tenant="school-1")


async def test_blanks_around_what_is_typed_are_passed_over(api: Api) -> None:
    await api.learn(*[enrolled(name, 5) for name in ("d1", "d2", "d3", "d4", "d5")])
    assert "d3 in py-101" in await shown(api, "/dashboard/compare?student=%20d3+&cohort=+py-101+")
    found = await api.client.get(
        "/dashboard/find?student=%20d3+", headers={"Cookie": f"mastery_session={make_token()}"}
    )
    assert found.headers["location"] == "/dashboard/students/d3"


@pytest.mark.parametrize(
    ("query", "led_to"), [("", ""), ("?course_id=", ""), ("?course_id=%20edX%2FDemo%2BX", "?course_id=edX%2FDemo%2BX")]
)
async def test_a_student_is_led_to_their_page_in_the_course_that_the_address_names(
    api: Api, query: str, led_to: str
) -> None:
    cookie = {"Cookie": f"mastery_session={make_token('student', subject='d3')}"}
    found = await api.client.get(f"/dashboard{query}", headers=cookie)
    assert (found.status_code, found.headers["location"]) == (303, f"/dashboard/students/d3{led_to}")


async def answered(api: Api, path: str, **who: Any) -> tuple[int, str]:
    answer = await api.client.get(path, headers={"Cookie": f"mastery_session={make_token(**who)}"})
    return answer.status_code, answer.text


async def test_nobody_is_left_without_a_way_out(api: Api) -> None:
    status, page = await answered(api, "/dashboard/students/newcomer", role="student", subject="newcomer")
    assert (status, "Nothing is known of you yet" in page, "Where to begin" in page) == (200, True, True)
    assert "Sign out" in page
    await api.call("PUT", "/compliance/students/newcomer/consent", {"profiling": False})
    status, page = await answered(api, "/dashboard/students/newcomer", role="student", subject="newcomer")
    assert (status, "Nothing is known of you yet" in page, "Where to begin" in page) == (200, True, False)
    status, page = await answered(api, "/dashboard", role="teacher", cohorts=["not-yet"])
    assert (status, "Nobody is in your classes yet" in page) == (200, True)
    for who, expected in (({"role": "teacher"}, 403), ({"role": "admin"}, 404)):
        status, page = await answered(api, "/dashboard/students/nobody", **who)
        assert (status, "Sign out" in page) == (expected, True)
    for path in ("/dashboard", "/dashboard/students/ann@x.org"):
        status, page = await answered(api, path, role="student", subject="ann@x.org")
        assert (status, "ask your school for a token" in page, "Sign out" in page) == (403, True, True)
        assert "opaque" not in page
    status, page = await answered(api, "/dashboard", role="teacher")
    assert (status, "names no students and no class" in page, "Sign out" in page) == (403, True, True)


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def test_a_browser_sees_a_page_where_the_service_is_busy_or_failed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(pages, "caller_of", broken)
    headers = {"Accept": BROWSER, "Cookie": f"mastery_session={make_token()}"}
    failed = await api.client.get("/dashboard", headers=headers)
    assert (failed.status_code, "<h1>" in failed.text, "secret" in failed.text) == (500, True, False)
    assert "tell your school the time" in failed.text
    monkeypatch.setattr(Places, "take", busy)
    full = await api.client.get("/dashboard", headers=headers)
    assert (full.status_code, "<h1>" in full.text, full.headers["retry-after"]) == (503, True, "1")
    assert (await api.client.get("/students/x/skills", headers=headers)).json()["success"] is False


def busy(_: Places) -> None:
    raise Busy("More than 1 calls are under way at once.")


async def test_who_has_no_event_yet_is_named_and_many_are_counted(api: Api) -> None:
    await api.call("PUT", "/students/new_1/profile", {"display_name": "Ada Lovelace"})
    await api.call("PUT", "/cohorts/small", {"name": "Small", "members": ["new_1", "new_2"]})
    await api.call("PUT", "/cohorts/large", {"name": "Large", "members": [f"new_{one}" for one in range(500)]})
    page = await shown(api, "/dashboard", role="teacher", cohorts=["small"])
    said = re.findall(r"Nothing is known yet of [^<]*|Nobody is in[^<]*", page)
    assert said == ["Nothing is known yet of Ada Lovelace and new_2."]
    page = await shown(api, "/dashboard", role="teacher", cohorts=["large"])
    assert "Nothing is known yet of 500 students." in page
    await api.learn(event("quiz"))
    await api.call("PUT", f"/compliance/students/{STUDENT}/consent", {"profiling": False})
    page = await shown(api, "/dashboard", **TEACHER)
    assert "data-heatmap" not in page, "nobody would be on it"


async def test_of_a_large_class_nobody_who_needs_help_is_left_out(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (pages, class_routes):
        monkeypatch.setattr(place, "MOST_STUDENTS", 3)
    names = [f"s{number}" for number in range(6)]
    await api.learn(*[event("quiz", student_id=name, correct_answers=10 - place) for place, name in enumerate(names)])
    _, page = await answered(api, "/dashboard", role="teacher", students=[*names, "unknown"])
    assert re.findall(r'<tr[^>]*><th scope="row"><a href="/dashboard/students/(s\d)"', page)[:3] == ["s5", "s4", "s3"]
    assert "6 students" in page
    assert "Here are the first 3 of 6" in page
    _, page = await answered(api, "/dashboard/compare", role="teacher", students=names, cohorts=["py-101"])
    assert '<input id="student"' in page
    monkeypatch.setattr(reports, "MOST_OWN", 2)
    _, page = await answered(api, "/dashboard", role="teacher", students=names)
    assert "Of your 6 students only the first 2 by id were looked at." in page


async def test_an_operator_sees_webhooks_and_sends_a_message_again_after_a_question(tmp_path: Path) -> None:
    cookie = {"Cookie": f"mastery_session={make_token()}"}
    async with HookServer(500, 200).listening() as hook, serving(tmp_path, webhook_allow_private=True) as api:
        assert "mastery-engine webhook put" in await shown(api, "/dashboard")
        await api.call("PUT", "/webhooks/lms", {"url": hook.url, "types": ["mastery.updated"], "description": "<LMS>"})
        await asyncio.sleep(1)  # what is set counts everywhere within two
        await api.learn(event("quiz"))
        await hook.has(1)
        assert f'<a href="/dashboard/webhooks/lms">lms</a></th><td dir="ltr">{hook.url}</td><td>active' in await shown(
            api, "/dashboard"
        )
        place = "/dashboard/webhooks/lms"
        page = await shown(api, place)
        assert "&lt;LMS&gt;" in page
        (delivery_id,) = hook.ids
        assert f"<td>{STUDENT}</td>" in page
        assert f'href="{place}?resend={delivery_id}"' in page
        assert "Send it again?" not in page
        question = await shown(api, f"{place}?resend={delivery_id}&state=waiting")
        assert "Send it again?" in question
        (action,) = re.findall(r'action="([^"]*/resend)"', question)
        foreign = {**cookie, "Sec-Fetch-Site": "cross-site"}
        assert (await api.client.post(action, headers=foreign)).status_code == 403
        assert len(hook.came) == 1
        assert (await api.client.post(action, headers=cookie)).status_code == 303
        await hook.has(2)
        assert hook.ids == [delivery_id] * 2
        tried = await api.client.post(f"{place}/test", headers=cookie)
        assert "The test message was delivered." in tried.text
        assert "answered 200" in tried.text
        for path in (f"{place}?state=lost", f"{place}?cursor=none"):
            assert (await api.client.get(path, headers=cookie)).status_code == 400
        teacher = {"Cookie": f"mastery_session={make_token('teacher', students=[STUDENT])}"}
        for method, path in (("GET", place), ("POST", action), ("POST", f"{place}/test")):
            assert (await api.client.request(method, path, headers=teacher)).status_code == 403
        assert "h-webhooks" not in await shown(api, "/dashboard", role="service")


LETTERS = "/dashboard/dead-letters"


async def test_an_operator_redrives_a_dead_letter_in_three_clicks(api: Api) -> None:
    cookie = {"Cookie": f"mastery_session={make_token(subject='ops')}"}
    assert "None waits to be redriven." in await shown(api, "/dashboard")
    now = {"received": system_clock(), "at": system_clock()}  # what is old is purged
    sound = raw({**event("quiz"), "event_id": "e-9"})
    await api.logs.dead_letters.append(
        [
            letter(1, value=b'{"<b>": 1}', **now),
            letter(2, value=sound, key=STUDENT.encode(), student_id=STUDENT, event_id="e-9", **now),
            letter(3, code="CONSENT_REQUIRED", key=None, value=None, student_id=None, **now),
            letter(4, value=b"of another school", tenant="school-2", **now),
        ]
    )
    page = await shown(api, "/dashboard")
    reasons = dict(re.findall(rf'<a href="({LETTERS}[?]code=\w+)">\w+</a></th><td>(\d+)</td>', page))
    place, *_ = [path for path in reasons if path.endswith("VALIDATION_ERROR")]  # the first click
    assert reasons == {f"{LETTERS}?code=CONSENT_REQUIRED": "1", place: "2"}

    page = await shown(api, place)
    assert re.findall(r'id="letter-(\d+)"', page) == ["2", "1"]
    assert "{&#34;&lt;b&gt;&#34;: 1}" in page
    assert "of another school" not in page
    assert "Put it back?" not in page
    assert re.findall(r'<button [^>]*name="redrive" value="(\d+)"[^>]*>Redrive</button>', page) == ["2", "1"]
    question = await shown(api, f"{place}&redrive=2")  # the second
    (action,) = re.findall(r'action="([^"]*/redrive)"><button class="button">Redrive</button>', question)
    assert "Put it back?" in question
    foreign = await api.client.post(action, headers={**cookie, "Sec-Fetch-Site": "cross-site"})
    assert (foreign.status_code, (await api.logs.dead_letters.page())[1].redriven) == (403, None)
    answer = await api.client.post(action, headers=cookie)  # the third
    assert (answer.status_code, answer.headers["location"]) == (303, place)
    async with asyncio.timeout(10):
        while (await api.post("/mastery/query", {"student_id": STUDENT})).status_code != 200:
            await asyncio.sleep(0.01)
    assert re.search(r"redriven \d", await shown(api, place))
    assert f'{place}">VALIDATION_ERROR</a></th><td>1</td>' in await shown(api, "/dashboard")
    ends = await api.logs.events.ends()
    assert (await api.client.post(action, headers=cookie)).status_code == 303
    assert await api.logs.events.ends() == ends, "once"

    assert "it cannot be redriven" in await shown(api, f"{LETTERS}?code=CONSENT_REQUIRED")
    for number in (4, 5, 10**20):
        assert (await api.client.post(f"{LETTERS}/{number}/redrive", headers=cookie)).status_code == 404
    for query in ("", "?code=X&redrive=two", "?code=X&before=-1"):
        assert (await api.client.get(LETTERS + query, headers=cookie)).status_code == 400
    redrives = [one for one in await api.audited() if one.call == "dlq-redrive" and one.subject == "ops"]
    assert [one.student_id for one in redrives] == [api.pseudonym(STUDENT)] * 2


async def test_the_content_of_dead_letters_is_for_admins_in_pages(api: Api) -> None:
    await api.logs.dead_letters.append(
        [letter(number, value=b"x" * 5_000, received=system_clock()) for number in range(26)]
    )
    page = await shown(api, f"{LETTERS}?code=VALIDATION_ERROR")
    assert len(re.findall(r'id="letter-\d+"', page)) == 25
    assert "x" * 4_001 not in page
    assert "the whole is shown by mastery-engine dlq show 26." in page
    (older,) = re.findall(rf'<a href="({LETTERS}[^"]+)">Older ones', page)
    page = await shown(api, older.replace("&amp;", "&"))
    assert re.findall(r'id="letter-(\d+)"', page) == ["1"]
    for role in ("student", "teacher", "service"):
        who = {"Cookie": f"mastery_session={make_token(role, students=[STUDENT])}"}
        for method, path in (("GET", f"{LETTERS}?code=VALIDATION_ERROR"), ("POST", f"{LETTERS}/1/redrive")):
            assert (await api.client.request(method, path, headers=who)).status_code == 403
    page = await shown(api, "/dashboard", role="service")
    assert '<th scope="row">VALIDATION_ERROR</th><td>26</td>' in page


async def test_the_operators_page_is_there_while_the_log_is_away(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(tenant: str) -> None:
        raise Unavailable("The log is away.")

    monkeypatch.setattr(api.logs.dead_letters, "reasons", away)
    assert "They could not be read just now" in await shown(api, "/dashboard")


async def test_advice_about_a_module_names_the_skill_on_which_one_is_stuck(api: Api) -> None:
    work = event("completion", topic="control-flow", total_exercises=10, completed_exercises=2)
    await api.learn(work, event("quiz", correct_answers=10), event("quality"))
    assert "Practise “Control Flow”" in (await shown(api))
    await api.learn(event("help", topic="loops", message="I'm stuck"))
    page = await shown(api)
    assert "Practise “Loops with for and while”" in page
    assert "Practise “Control Flow”" not in page
    assert "You are stuck on this part of “Control Flow”. 4 exercises are waiting for you." in page
    assert "stuck here" in page
    assert re.findall(r'<a class="button" href="([^"]+)"', page)[0].endswith("#for-statements")
