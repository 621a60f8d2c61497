"""The operator's page: what is away, the last hour, dead letters of a reason, purges and erasures, and the runbooks."""

import re
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.domain.moments import MINUTE, SECOND
from mastery_engine.errors import Unavailable
from mastery_engine.http.dashboard.graphs import graphs_of
from mastery_engine.http.dashboard.operator_page import RUNBOOKS, UNAVAILABLE
from mastery_engine.http.dashboard.runbooks import anchor_of, rendered
from mastery_engine.responses.figures import MinuteFigures, ReplicaFigures, hour_of
from mastery_engine.services import dead_letters
from mastery_engine.telemetry.totals import LATENCY_BOUNDS
from mastery_engine.wiring import system_clock
from tests.support.calls import STUDENT, Api, event
from tests.support.live import make_token
from tests.support.logs import letter
from tests.support.samples import NOW, raw

ROOT = Path(__file__).parents[2]
COOKIE = {"Cookie": f"mastery_session={make_token(subject='ops')}"}
REDRIVE = "/dashboard/dead-letters/redrive"


async def shown(api: Api, path: str = "/dashboard", **who: Any) -> str:
    answer = await api.client.get(path, headers={"Cookie": f"mastery_session={make_token(**who)}"})
    assert answer.status_code == 200, answer.text
    return answer.text


def words_in(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


# ---- the last hour


async def test_the_page_shows_the_last_hour_in_graphs_words_and_a_table(api: Api) -> None:
    await api.learn(event("quiz"), event("answer"))
    await api.get("/students/nobody/profile", token="")
    page = await shown(api)
    graphs = re.findall(r'data-graph="(\w+)"', page)
    assert graphs == ["calls", "latency", "errors", "events", "lag", "dead", "replicas"]
    assert "1 process tells its figures." in page
    text = words_in(page)
    assert re.search(r"calls: [\d.]+ now, [\d.]+ at most, at \d\d:\d\d", text)
    assert re.search(r"refused \(4xx\): [\d.]+ now", text)
    assert "failed (5xx): 0 all the time" in text
    assert len(re.findall(r'<tr><th scope="row">\d\d:\d\d</th>', page)) == 60
    assert page.count("nobody told") == 59
    answer = await api.client.get("/dashboard/figures", headers=COOKIE)
    (minute,) = [one for one in answer.json()["minutes"] if one["replicas"]]
    assert min(minute["calls"], minute["events"], minute["client_errors"]) > 0
    assert answer.headers["cache-control"] == "no-store"
    for language, said in (("es", "La última hora"), ("ar", "الساعة الأخيرة")):
        other = {"Cookie": f"{COOKIE['Cookie']}; mastery_language={language}"}
        assert said in (await api.client.get("/dashboard", headers=other)).text
    for role in ("student", "teacher"):
        who = {"Cookie": f"mastery_session={make_token(role, students=[STUDENT])}"}
        for path in ("/dashboard/figures", "/dashboard/runbooks"):
            assert (await api.client.get(path, headers=who)).status_code == 403


def minute_of(number: int, **of: Any) -> MinuteFigures:
    usual = {"seconds": 60.0, "calls": 60, "refused": 0, "failed": 0, "folded": 0, "dead": 0, "works": True}
    quick = tuple(60 * (place == 2) for place in range(len(LATENCY_BOUNDS) + 1))
    return MinuteFigures(**{"minute": NOW // MINUTE - number, "latency": quick, "lag": {"events": 0}, **usual, **of})


def graphs(*minutes: MinuteFigures, told: int = NOW) -> dict[str, Any]:
    replica = ReplicaFigures("r", "host", "1", True, NOW, told, tuple(sorted(minutes, key=lambda one: one.minute)))
    return {one.key: one for one in graphs_of(hour_of([replica], NOW, LATENCY_BOUNDS))}


def test_gaps_are_gaps_and_no_zeros() -> None:
    drawn = graphs(*[minute_of(number, folded=600 * number) for number in (0, 1, 2, 5, 8, 9)])
    (line,) = drawn["events"].lines
    assert [len(piece.split()) for piece in line.pieces] == [2, 3]
    assert len(line.dots) == 1
    assert (line.last, line.most) == (0, 90)
    assert [value for value, _ in drawn["events"].marks] == [0, 50, 100]
    assert [number is None for number in line.numbers[-10:]] == [
        False,
        False,
        True,
        True,
        False,
        True,
        True,
        *[False] * 3,
    ]


def test_what_lies_beyond_the_histogram_is_told_as_that() -> None:
    slow = tuple(60 * (place == len(LATENCY_BOUNDS)) for place in range(len(LATENCY_BOUNDS) + 1))
    drawn = graphs(minute_of(0, latency=slow), minute_of(1))
    for line in drawn["latency"].lines:
        assert line.told(line.most) == "over 2,500"
        assert line.told(line.numbers[-2]) not in ("", "over 2,500")
    assert drawn["calls"].lines[0].told(5_000) == "5,000", "of other figures more is known"


def test_lights_are_on_where_an_alert_would_be() -> None:
    def lit(*minutes: MinuteFigures, **how: Any) -> set[str]:
        return {key for key, one in graphs(*minutes, **how).items() if one.needs_look}

    slow = tuple(60 * (place == len(LATENCY_BOUNDS)) for place in range(len(LATENCY_BOUNDS) + 1))
    assert lit(*map(minute_of, range(60))) == set()
    assert lit(*[minute_of(number, latency=slow) for number in range(10)]) == {"latency"}
    assert lit(*[minute_of(number, latency=slow) for number in range(9)], minute_of(9)) == set(), "not for so long yet"
    assert lit(*[minute_of(number, latency=slow) for number in range(4)]) == set(), "a few calls alone"
    assert lit(*[minute_of(number, failed=2) for number in range(60)]) == {"errors"}
    assert lit(minute_of(0), *[minute_of(number, failed=2) for number in range(10, 60)]) == set(), "it is over"
    assert lit(*[minute_of(number, refused=50) for number in range(60)]) == set(), "whoever is refused was wrong"
    assert lit(*[minute_of(number, lag={"events": 600}, folded=6_000) for number in range(5)]) == {"lag"}
    waits = [minute_of(number, lag={"events": 6_000}, folded=6_000) for number in range(5)]
    assert lit(*waits) == {"lag", "events"}
    assert lit(minute_of(0), minute_of(14, dead=1)) == {"dead"}
    assert lit(minute_of(0), minute_of(15, dead=1)) == set()
    assert lit(minute_of(1), told=NOW - 60 * SECOND) == {"replicas"}


# ---- what is away


async def test_the_page_is_there_while_store_and_log_are_away_and_says_which(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("The store is on holiday.")

    for part in ("page", "find"):
        monkeypatch.setattr(api.stores.registry, part, away)
    monkeypatch.setattr(api.stores.calibrations, "of_tenant", away)
    monkeypatch.setattr(api.stores.connection, "ping", away)
    monkeypatch.setattr(api.logs.dead_letters, "reasons", away)
    api.engine.readiness._checks["store"]._check = away
    page = await shown(api)
    assert "These figures are of the process" not in page
    assert "The store does not answer: these figures are of the process that made this page alone." in page
    assert "The store is on holiday." in page
    assert page.count("They could not be read just now: the store does not answer.") == 3
    assert page.count("They could not be read just now: the log does not answer.") == 1
    assert 'class="card light down" data-light="store"' in page


# ---- dead letters of a reason


async def test_all_letters_of_a_reason_are_redriven_in_portions_after_a_question(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "PORTION", 3)
    now = {"received": system_clock(), "at": system_clock()}
    sound = [raw({**event("quiz"), "event_id": f"e-{number}"}) for number in range(3)]
    await api.logs.dead_letters.append(
        [
            letter(101, value=b"{", event_id="bad", **now),
            *[letter(102 + n, value=one, student_id=STUDENT, event_id=f"e-{n}", **now) for n, one in enumerate(sound)],
            letter(108, value=None, **now),
            letter(109, value=b"{", tenant="school-2", **now),
        ]
    )
    page = await shown(api)
    (code,) = re.findall(rf'action="{REDRIVE}"><button class="button plain" name="code" value="(\w+)"', page)
    question = await shown(api, f"{REDRIVE}?code={code}")
    assert "3 dead letters of VALIDATION_ERROR go back into the log" in question
    assert "You are asked again for the next." in question
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', question))
    assert len(re.findall(r"<button [^>]*>Redrive</button>", question)) == 1
    before = await api.logs.events.ends()
    foreign = await api.client.post(REDRIVE, data=fields, headers={**COOKIE, "Sec-Fetch-Site": "cross-site"})
    assert (foreign.status_code, await api.logs.events.ends()) == (403, before)

    answer = await api.client.post(REDRIVE, data=fields, headers=COOKIE)
    assert answer.status_code == 303
    outcome = await shown(api, answer.headers["location"])
    assert 'data-redriven="3" data-failed="1" data-under-way="0"' in outcome
    assert "2 were processed." in outcome
    assert "1 failed again, and is a new dead letter." in outcome
    assert "1 more waits with this reason." in outcome, "without the one that failed again"
    for language in ("es", "ar"):
        other = {"Cookie": f"{COOKIE['Cookie']}; mastery_language={language}"}
        for path in (answer.headers["location"], f"{REDRIVE}?code={code}", f"/dashboard/dead-letters?code={code}"):
            assert (await api.client.get(path, headers=other)).status_code == 200
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', outcome))
    answer = await api.client.post(REDRIVE, data=fields, headers=COOKIE)
    outcome = await shown(api, answer.headers["location"])
    assert 'data-redriven="1" data-failed="0" data-under-way="0"' in outcome
    assert '<form method="post" action="/dashboard/dead-letters/redrive">' not in outcome, "it ends"
    assert (await api.query())["components"]["quiz"] > 0

    for path in (f"{REDRIVE}?code=OTHER", "/dashboard/dead-letters?code=OTHER"):
        nothing = await api.client.get(path, headers=COOKIE)
        assert nothing.status_code == 404
        assert "No dead letter has this reason." in nothing.text
        assert '<a href="/dashboard/dead-letters?code=VALIDATION_ERROR">VALIDATION_ERROR (' in nothing.text
    elsewhere = await api.client.get(
        answer.headers["location"], headers={"Cookie": f"mastery_session={make_token(tenant='school-2')}"}
    )
    assert elsewhere.status_code == 404
    assert (await api.client.post(REDRIVE, data={"code": code, "until": "x"}, headers=COOKIE)).status_code == 400
    for role in ("student", "teacher", "service"):
        who = {"Cookie": f"mastery_session={make_token(role, students=[STUDENT])}"}
        assert (await api.client.get(f"{REDRIVE}?code={code}", headers=who)).status_code == 403
        assert (await api.client.post(REDRIVE, data=fields, headers=who)).status_code == 403
    assert "Redrive" not in await shown(api, role="service")


async def test_what_nobody_works_yet_is_said_to_be_under_way(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "PATIENCE_S", 0.0)

    async def nothing_yet() -> dict[int, int]:
        return {}

    monkeypatch.setattr(api.logs.events, "committed", nothing_yet)
    sound = raw({**event("quiz"), "event_id": "e-1"})
    await api.logs.dead_letters.append([letter(101, value=sound, received=system_clock(), at=system_clock())])
    until = {"code": "VALIDATION_ERROR", "until": str(system_clock())}
    answer = await api.client.post(REDRIVE, data=until, headers=COOKIE)
    page = await shown(api, answer.headers["location"])
    assert "1 waits to be processed: look again in a moment." in page
    assert 'data-refresh="3"' in page


# ---- retention


async def test_purges_and_erasures_are_shown_without_names(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await api.learn(event("quiz"))
    await api.engine.purge.run()
    page = await shown(api)
    assert re.search(r"data-purge>From \d+ \w+, \d\d:\d\d to \d+ \w+, \d\d:\d\d\.", page)
    assert "0 asked for, 0 done, 0 outstanding." in page
    await api.call("DELETE", f"/compliance/students/{STUDENT}")
    assert "1 asked for, 1 done, 0 outstanding." in await shown(api)

    async def broken(*_: object) -> None:
        raise Unavailable("The store went away.")

    with monkeypatch.context() as while_broken:
        while_broken.setattr(api.stores.documents, "erase", broken)
        assert (await api.call("DELETE", "/compliance/students/bob")).status_code == 503
        page = await shown(api)
        assert "2 asked for, 1 done, 1 outstanding." in page
        assert f"{api.pseudonym('bob')[:12]}…" in page
        assert "bob" not in page.replace("bobbin", "")
        while_broken.setattr(api.stores.jobs, "purge", broken)
        with pytest.raises(Unavailable):
            await api.engine.purge.run()
        assert "has not ended." in await shown(api)
    assert "0 asked for" in await shown(api, tenant="school-2"), "erasures are a school's own"
    await api.call("DELETE", "/compliance/students/bob")
    await api.engine.purge.run()
    page = await shown(api)
    assert "2 asked for, 2 done, 0 outstanding." in page
    assert "has not ended." not in page


# ---- runbooks


async def test_each_light_leads_to_a_chapter_that_is_there(api: Api) -> None:
    page = await shown(api)
    led = set(re.findall(r'href="/dashboard/runbooks#([\w-]+)"', page))
    anchors = {anchor for anchor, _ in rendered()[0]}
    assert "masterylag" in led
    assert led <= anchors
    assert {*RUNBOOKS.values(), UNAVAILABLE} <= anchors
    runbooks = await shown(api, "/dashboard/runbooks", role="service")
    for anchor in anchors:
        assert runbooks.count(f'id="{anchor}"') == 1
        assert f'href="#{anchor}"' in runbooks
    assert not re.findall(r'href="(?!#|/)[^"]*"', runbooks.replace('href="data:,"', "")), "nothing leads elsewhere"
    rules = (ROOT / "deploy/prometheus/rules.yaml").read_text()
    assert set(re.findall(r"runbooks.md#(\S+)", rules)) <= anchors


def test_the_runbooks_are_those_of_the_documents_and_all_of_them() -> None:
    chapters, text = rendered()
    source = (ROOT / "docs" / "runbooks.md").read_text()
    assert [title for _, title in chapters] == re.findall(r"^## (.+)$", source, re.MULTILINE)
    assert anchor_of("JWT validation errors") == "jwt-validation-errors"
    assert text.count("<pre>") == source.count("```") / 2
    assert "After a flood (docs/operations.md)" in text
