"""The days of which a teacher's class is shown: chosen by their dates, and said wherever figures stand."""

import csv
import html
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from mastery_engine.domain.moments import MINUTE
from mastery_engine.http.dashboard.templates import percent
from tests.support.calls import Api, MovedClock, event, serving
from tests.support.live import make_token

ADA, BOB, NEW = "ada_1", "bob_1", "new_1"
TOKEN = make_token("teacher", subject="grace", students=[ADA, BOB, NEW], lives_s=10 * 86_400)


def day(back: int, zone: timedelta = timedelta()) -> str:
    return str((datetime.now(UTC) + zone - timedelta(days=back)).date())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with serving(tmp_path_factory.mktemp("dates"), MovedClock()) as api:
        await api.learn(event("quiz", student_id=ADA, correct_answers=10, days_ago=30))
        await api.learn(event("quiz", student_id=ADA, correct_answers=0, days_ago=10))
        await api.learn(event("quiz", student_id=BOB, correct_answers=5, days_ago=40))
        await api.learn(event("quiz", student_id=NEW, correct_answers=8, days_ago=1))
        yield api


async def asked(api: Api, path: str, status: int = 200) -> httpx.Response:
    answer = await api.client.get(path, headers={"Cookie": f"mastery_session={TOKEN}"})
    assert answer.status_code == status, answer.text
    return answer


async def rows(api: Api, query: str) -> dict[str, dict[str, str]]:
    answer = await asked(api, f"/dashboard/class.csv{query}")
    return {row["student_id"]: row for row in csv.DictReader(StringIO(answer.content.decode("utf-8-sig")))}


async def change(api: Api, student_id: str, first: str, last: str) -> float:
    found = await api.data("/analytics/changes", {"student_id": student_id, "from": first, "to": last})
    return float(found["change"])


@pytest.mark.asyncio(loop_scope="module")
async def test_scores_and_changes_are_those_of_the_chosen_days(api: Api) -> None:
    first, last = day(35), day(20)
    found = await rows(api, f"?from={first}&to={last}")
    for student_id in (ADA, BOB):
        row = found[student_id]
        then = await api.data("/analytics/changes", {"student_id": student_id, "from": first, "to": last})
        assert float(row["score"]) == then["mastery_score"]
        assert float(row["change"]) == pytest.approx(then["change"], abs=1e-4)
        assert (row["from"], row["to"]) == (first, last)
    assert (found[NEW]["score"], found[NEW]["change"], found[NEW]["level"]) == ("", "", "")
    page = (await asked(api, f"/dashboard?from={first}&to={last}")).text
    assert f'data-from="{first}" data-to="{last}"' in page
    shown = re.findall(
        r'<th scope=row><a href="/dashboard/students/(\w+).*?<td(?:>(\d+%)| class="soft")',
        page,
    )
    assert dict(shown) == {name: percent(float(row["score"])) if row["score"] else "" for name, row in found.items()}
    assert "Nothing yet." in page
    average = (float(found[ADA]["score"]) + float(found[BOB]["score"])) / 2
    assert float(re.findall(r'data-average="([\d.]+)"', page)[0]) == pytest.approx(average)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_trend_is_that_of_the_chosen_days_and_the_links_keep_them(api: Api) -> None:
    first, last = day(35), day(8)
    page = html.unescape((await asked(api, f"/dashboard?from={first}&to={last}")).text)
    (readings,) = re.findall(r'data-chart="(\[.*?\])" data-name', page)
    assert readings.count("%") == 28
    kept = f"from={first}&to={last}"
    for link in (f"/dashboard/students/{ADA}?{kept}", f"/dashboard/class.csv?{kept}", f"sort=score&dir=desc&{kept}"):
        assert link in page
    student = html.unescape((await asked(api, f"/dashboard/students/{ADA}?{kept}")).text)
    assert f'href="/dashboard?{kept}"' in student, "the way back"
    assert f'data-moved="{await change(api, ADA, first, last)}"' in student
    assert "What changed from " in student
    usual = (await asked(api, f"/dashboard/students/{ADA}")).text
    assert "What changed since last week" in usual
    nonsense = (await asked(api, f"/dashboard/students/{ADA}?from={last}&to={first}", 400)).text
    assert "What changed since last week" in nonsense
    assert "The first day lies after the last: change one of them. The usual days are shown." in nonsense
    group = re.findall(r'<input type="hidden" name="(from|to)" value="([^"]+)"', page)
    assert ("from", first) in group


@pytest.mark.asyncio(loop_scope="module")
async def test_without_a_choice_scores_are_of_now_and_changes_of_a_week(api: Api) -> None:
    found = await rows(api, "")
    assert {(row["from"], row["to"]) for row in found.values()} == {(day(7), day(0))}
    assert found == await rows(api, "?days=7"), "a preset of as many days"
    assert found == await rows(api, f"?to={day(0)}"), "a week up to the day"
    assert found == await rows(api, f"?from={day(7)}")
    page = (await asked(api, "/dashboard")).text
    assert "Last 7 days" in page
    assert f'data-from="{day(7)}" data-to="{day(0)}"' in page
    assert 'name="from" value=""' in page
    month = (await asked(api, "/dashboard?days=28")).text
    assert "Last 7 days" not in month
    assert f'name="from" value="{day(28)}"' in month
    assert {row["from"] for row in (await rows(api, "?days=28")).values()} == {day(28)}
    answer = await asked(api, "/dashboard/class.csv")
    assert f'filename="class-{day(7)}-{day(0)}.csv"' in answer.headers["content-disposition"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("29.11.2026", "", "“29.11.2026” is no date"),
        ("2026-02-30", "", "“2026-02-30” is no date"),
        (day(3), "<b>", "“&lt;b&gt;” is no date"),
        (day(3), day(5), "The first day lies after the last"),
        (day(200), day(5), "Only the days from "),
        ("", day(-1), "Only the days from "),
        ("0001-01-01", "9999-12-31", "Only the days from "),
    ],
)
async def test_bad_dates_are_said_and_the_page_stays(api: Api, first: str, last: str, said: str) -> None:
    query = str(httpx.QueryParams({"from": first, "to": last, "q": "ada"}))
    page = (await asked(api, f"/dashboard?{query}", 400)).text
    assert said in page
    assert f'value="{html.escape(first)}"' in page
    assert f'value="{html.escape(last)}"' in page
    assert 'aria-invalid="true"' in page
    assert "Last 7 days" in page
    assert f'/dashboard/students/{ADA}"' in page, "no link leads on with them"
    assert said in (await asked(api, f"/dashboard/class.csv?{query}", 400)).text


async def test_days_are_those_of_the_courses_time_zone(tmp_path: Path) -> None:
    """At 23:30 UTC it is the next day in Auckland."""
    clock = MovedClock()
    now = datetime.now(UTC)
    late = now.replace(hour=23, minute=30, second=0)
    clock.ahead = int((late - now).total_seconds()) * MINUTE // 60
    async with serving(tmp_path, clock) as api:
        answer = await api.call("PUT", "/courses/default", {"title": "Physics", "time_zone": "Pacific/Auckland"})
        assert answer.status_code == 200, answer.text
        await api.learn(event("quiz", student_id=ADA, days_ago=2))
        tomorrow, after = (str((late + timedelta(days=ahead)).date()) for ahead in (1, 2))
        assert f'max="{tomorrow}"' in (await asked(api, "/dashboard")).text
        assert {row["to"] for row in (await rows(api, f"?to={tomorrow}")).values()} == {tomorrow}
        await asked(api, f"/dashboard?to={after}", 400)


async def test_a_spreadsheet_reads_the_file_as_utf8_and_computes_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        for number, name in enumerate(("=1+1", "+1", "-1", "@SUM(A1)", "\N{FULLWIDTH EQUALS SIGN}1", "Zoë = 1")):
            await api.learn(event("quiz", student_id=f"s_{number}"))
            (await api.call("PUT", f"/students/s_{number}/profile", {"display_name": name})).raise_for_status()
        token = make_token("teacher", subject="grace", students=[f"s_{number}" for number in range(6)])
        answer = await api.client.get("/dashboard/class.csv", headers={"Cookie": f"mastery_session={token}"})
        assert answer.content.startswith(b"\xef\xbb\xbfstudent_id,")
        table = csv.DictReader(StringIO(answer.content.decode("utf-8-sig")))
        names = {row["student_id"]: row["name"] for row in table}
        assert names == {
            "s_0": "'=1+1",
            "s_1": "'+1",
            "s_2": "'-1",
            "s_3": "'@SUM(A1)",
            "s_4": "'\N{FULLWIDTH EQUALS SIGN}1",
            "s_5": "Zoë = 1",
        }
