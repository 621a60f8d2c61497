"""What pages of other sites can do with a user's browser, and the cookie of the dashboard."""

import re
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest

from mastery_engine.auth.demo_doors import DemoDoor
from mastery_engine.auth.limits import BAD_TOKENS
from tests.support.calls import STUDENT, Api, serving, with_state
from tests.support.live import bearer, make_token

OWN = make_token("student", subject=STUDENT)
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "null"},
    {"Origin": "http://evil.example/?http://localhost"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
]
OURS = [
    {},
    {"Origin": "http://localhost"},
    {"Origin": "https://LOCALHOST"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    # Behind a proxy that calls us by another name the browser's word is enough, which no page can change.
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://mastery.school.example"},
]
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


async def test_other_sites_neither_sign_in_nor_out(api: Api) -> None:
    for path, form in (("/dashboard", {"token": OWN}), ("/dashboard/sign-out", {})):
        for headers in FOREIGN:
            answer = await api.client.post(path, data=form, headers=headers)
            assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None), (path, headers)
        for headers in OURS:
            answer = await api.client.post(path, data=form, headers=headers)
            assert answer.status_code == 303, (path, headers)


async def test_no_page_of_another_site_is_an_agent(api: Api) -> None:
    """As the protocol asks of servers, whatever token the page may have come by."""
    for headers in FOREIGN:
        answer = await api.post("/mcp", PING, headers=headers | ACCEPT)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN"), headers
    for headers in OURS:
        assert (await api.post("/mcp", PING, headers=headers | ACCEPT)).status_code == 200, headers


async def test_a_name_that_was_turned_to_this_machine_gets_nothing_without_a_token(api: Api) -> None:
    """DNS rebinding: for the browser the page is ours, and it has neither token nor cookie of our name."""
    there = {"Host": "evil.example:8005", "Origin": "http://evil.example:8005"}
    calls = [("/mcp", PING), ("/mastery/query", {"student_id": STUDENT}), ("/process", {"intent": "query"})]
    codes = [(await api.post(path, body, token="", headers=there | ACCEPT)).status_code for path, body in calls]
    assert codes == [401, 401, 403]


async def test_no_answer_lets_another_site_read_it(api: Api) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for method, path in (("OPTIONS", "/mcp"), ("OPTIONS", "/mastery/query"), ("POST", "/mcp"), ("GET", "/dashboard")):
        answer = await api.call(method, path, {} if method == "POST" else None, headers=asked)
        assert not [name for name in answer.headers if name.startswith("access-control-")], (method, path)


async def cookie_of(api: Api, url: str, peer: str = "127.0.0.1", **headers: str) -> str:
    """The cookie's attributes after a sign-in, in lower case."""
    transport = httpx.ASGITransport(with_state(api.app, api.state), client=(peer, 4711))
    async with httpx.AsyncClient(transport=transport, base_url=url) as client:
        entered = await client.post("/dashboard", data={"token": OWN}, headers=headers)
        left = await client.post("/dashboard/sign-out", headers=headers)
    cookies = [SimpleCookie(answer.headers["set-cookie"])["mastery_session"] for answer in (entered, left)]
    assert {(morsel["httponly"], morsel["samesite"], morsel["path"]) for morsel in cookies} == {
        (True, "strict", "/dashboard")
    }
    assert cookies[0].value == OWN
    assert (cookies[0]["max-age"], cookies[0]["expires"]) == ("", "")  # gone with the browser, which others may use
    assert cookies[1]["max-age"] == "0"
    assert cookies[0]["secure"] == cookies[1]["secure"]
    return "secure" if cookies[0]["secure"] else "for any scheme"


async def test_in_production_the_cookie_is_for_https_alone(tmp_path: Path) -> None:
    """A proxy that ends TLS speaks plain HTTP to the service, and may say nothing of it."""
    async with serving(tmp_path, environment="production") as api:
        assert await cookie_of(api, "http://localhost") == "secure"
        assert await cookie_of(api, "https://localhost") == "secure"


async def test_in_development_the_cookie_works_over_plain_http(tmp_path: Path) -> None:
    async with serving(tmp_path, forwarded_allow_ips="10.0.0.7") as api:
        assert await cookie_of(api, "http://localhost") == "for any scheme"
        assert await cookie_of(api, "https://localhost") == "secure"
        tls = {"X-Forwarded-Proto": "https"}
        assert await cookie_of(api, "http://localhost", peer="10.0.0.7", **tls) == "secure"
        assert await cookie_of(api, "http://localhost", peer="10.0.0.8", **tls) == "for any scheme"


async def test_guesses_at_the_sign_in_are_counted(api: Api) -> None:
    async def status(token: str) -> int:
        return (await api.client.post("/dashboard", data={"token": token})).status_code

    assert [await status("") for _ in range(BAD_TOKENS + 1)] == [401] * (BAD_TOKENS + 1)  # none is no guess
    assert [await status(f"a.b.{guess}") for guess in range(BAD_TOKENS + 2)] == [401] * BAD_TOKENS + [429] * 2
    assert await status(OWN) == 303
    cookie = await api.client.get("/dashboard", headers={"Cookie": "mastery_session=a.b.c"})
    assert cookie.status_code == 429, "the same guesses by cookie"
    assert (await api.post("/mastery/query", {"student_id": STUDENT}, token="a.b.d")).status_code == 429


@pytest.mark.parametrize("path", ["/mastery/query", "/mcp", "/process"])
async def test_guesses_are_counted_at_every_door(api: Api, path: str) -> None:
    codes = [
        (await api.post(path, {}, token="", headers=bearer(f"a.b.{guess}") | ACCEPT)).status_code
        for guess in range(BAD_TOKENS + 1)
    ]
    assert codes == [401] * BAD_TOKENS + [429]


async def test_a_demo_has_three_doors_and_anything_else_none(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "/dashboard/door" not in (await api.get("/dashboard", token="")).text
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    closed = await api.client.post("/dashboard/door", content="door=operator", headers=form)
    assert (closed.status_code, "set-cookie" in closed.headers) == (404, False)
    doors = {
        "student": DemoDoor("student", make_token("student", subject="s1")),
        "stuck": DemoDoor("student", make_token("student", subject="s2"), "Mei <Lin>", "stuck"),
        "operator": DemoDoor("operator", make_token()),
    }
    monkeypatch.setitem(api.state, "doors", doors)
    page = (await api.get("/dashboard", token="")).text
    assert re.findall(r'name="door" value="(\w+)"', page) == ["student", "stuck", "operator"]
    assert ("Mei &lt;Lin&gt;" in page, "Is stuck on loops." in page) == (True, True)
    foreign = await api.client.post(
        "/dashboard/door", content="door=operator", headers={**form, "Origin": "https://evil.test"}
    )
    assert (foreign.status_code, "set-cookie" in foreign.headers) == (403, False)
    entered = await api.client.post("/dashboard/door", content="door=stuck", headers=form)
    assert (entered.status_code, entered.headers["location"]) == (303, "/dashboard")
    assert doors["stuck"].token in entered.headers["set-cookie"]


async def test_a_browser_is_led_to_the_pages_and_a_program_gets_json(api: Api) -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    led = await api.get("/", token="", headers={"Accept": browser})
    assert (led.status_code, led.headers["location"]) == (303, "/dashboard")
    for accept in ("*/*", "application/json", ""):
        assert (await api.get("/", token="", headers={"Accept": accept})).json()["data"]["name"] == "mastery-engine"
