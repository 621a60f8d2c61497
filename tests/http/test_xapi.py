"""The learning record store over HTTP: what a sender and a reader of xAPI notice, and what nobody gets away with."""

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.auth.credentials import PlatformCaller
from mastery_engine.domain.moments import DAY, MINUTE, rfc3339
from mastery_engine.http.middleware.body import MAX_ATTACHED, MAX_BODY
from mastery_engine.http.xapi.statements import MOST_AT_ONCE
from mastery_engine.lrs.multipart import BodyPart, parts_of, written
from tests.support.calls import Api, serving
from tests.support.statements import FIRST_ID, SECOND_ID, Statement, account, small, voiding, whole
from tests.support.xapi_senders import VERSION, Sender, attachment, rule_of, send_parts, sender_of, student_of, text

THROUGH = "X-Experience-API-Consistent-Through"
FORM = "application/x-www-form-urlencoded"
ESSAY = b"an essay\r\n--not-the-boundary\x00\xff"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as api:
        yield api


@pytest.fixture
async def sender(api: Api) -> Sender:
    return await sender_of(api)


# ---- storing and finding


async def test_a_statement_comes_back_as_it_was_sent_with_what_the_store_sets(sender: Sender) -> None:
    answer = await sender.call("PUT", query={"statementId": FIRST_ID}, body=whole())
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers[VERSION] == "2.0.0"
    stored = await sender.statement(FIRST_ID)
    assert stored.pop("stored") > "2026-11"
    assert stored.pop("authority")["account"]["name"].startswith("credential:")
    expected = whole() | {"timestamp": "2026-01-14T10:30:00Z"}
    expected["context"]["contextActivities"]["parent"] = [whole()["context"]["contextActivities"]["parent"]]
    assert stored == {name: part for name, part in expected.items() if name not in ("stored", "authority")}


async def test_a_repeat_counts_once_byte_for_byte_and_split(sender: Sender) -> None:
    """Moodle sends a batch that failed again, one by one, and without ids."""
    batch = [small(name, timestamp="2026-11-01T10:00:00Z") for name in ("ada", "bob", "eve")]
    ids = await sender.post(*batch)
    assert await sender.post(*batch) == ids
    assert [(await sender.post(one))[0] for one in batch] == ids
    assert await sender.post(batch[0], batch[0]) == [ids[0]] * 2
    assert sorted(await sender.found()) == sorted(ids)
    again = await sender.post(small(timestamp="2026-11-01T10:00:01Z"))
    assert again[0] not in ids


async def test_another_statement_with_the_same_id_is_a_conflict_and_stores_nothing(sender: Sender) -> None:
    await sender.post(small(id=FIRST_ID))
    query = {"statementId": FIRST_ID}
    assert (await sender.call("PUT", query=query, body=small())).status_code == 204
    assert (await sender.call("PUT", query=query, body=small("bob"))).status_code == 409
    assert (await sender.call("POST", body=[small(id=SECOND_ID), small("bob", id=FIRST_ID)])).status_code == 409
    assert await sender.found() == [FIRST_ID]
    assert rule_of(await sender.call("POST", body=[small(id=SECOND_ID), small(id=SECOND_ID)])) == "ids_are_distinct"
    assert rule_of(await sender.call("PUT", query=query, body=small(id=SECOND_ID))) == "id_is_that_of_address"
    assert rule_of(await sender.call("PUT", query=query, body=[small(), small()])) == "one_is_put"
    assert rule_of(await sender.call("PUT", body=small())) == "parameter_is_given"


async def test_one_bad_statement_refuses_its_call_and_is_named(sender: Sender) -> None:
    bad = small(verb={"id": "answered"})
    answer = await sender.call("POST", body=[small(id=FIRST_ID), bad])
    assert rule_of(answer) == "iri_is_absolute"
    assert "statements[1].verb.id" in answer.json()["error"]["message"]
    assert await sender.found() == []


async def test_of_statements_sent_singly_the_good_ones_are_in_and_each_bad_one_is_answered_by_its_rule(
    sender: Sender,
) -> None:
    broken = [
        (small(actor={"name": "nobody"}), "agent_is_identified"),
        (small(verb={"id": "answered"}), "iri_is_absolute"),
        (small(result={"score": {"scaled": 2}}), "score_lies_within_its_bounds"),
        (small(context={"registration": "first"}), "uuid_is_standard"),
        (small(timestamp="yesterday"), "timestamp_is_iso8601"),
    ]
    expected: list[str] = []
    for number in range(100):
        if number % 10:
            expected += await sender.post(small(f"s-{number}"))
        else:
            statement, rule = broken[number // 10 % len(broken)]
            assert rule_of(await sender.call("POST", body=statement)) == rule
    assert await sender.found(ascending="true") == expected


async def test_filters_find_what_the_standard_says(sender: Sender) -> None:
    registration = whole()["context"]["registration"]
    ada, bob = await sender.post(small("ada", "https://a.example/1"), small("bob", "https://a.example/2"))
    context = {"instructor": account("ada"), "contextActivities": {"parent": {"id": "https://a.example/1"}}}
    (eve,) = await sender.post(small("eve", "https://a.example/3", context={**context, "registration": registration}))
    (team,) = await sender.post(small(actor={"objectType": "Group", "member": [account("ada"), account("kim")]}))
    assert await sender.found() == [team, eve, bob, ada]
    assert await sender.found(ascending="true", limit="3") == [ada, bob, eve, team], "more leads on"
    assert await sender.found(agent=account("ada")) == [team, ada]
    assert await sender.found(agent=account("ada"), related_agents="true") == [team, eve, ada]
    assert await sender.found(activity="https://a.example/1") == [ada]
    assert await sender.found(activity="https://a.example/1", related_activities="true") == [eve, ada]
    assert await sender.found(registration=registration.upper()) == [eve]
    assert await sender.found(verb=small()["verb"]["id"], agent=account("bob")) == [bob]
    assert await sender.found(verb="https://a.example/other") == []
    stored = (await sender.statement(bob))["stored"]
    assert await sender.found(since=stored) == [team, eve]
    assert await sender.found(until=stored) == [bob, ada]


async def test_pages_stay_right_while_others_write(sender: Sender) -> None:
    first = [await sender.post(*[small(f"s{page}-{n}") for n in range(60)]) for page in range(4)]
    answer = await sender.call("GET", query={"verb": small()["verb"]["id"]})
    page = answer.json()
    assert len(page["statements"]) == MOST_AT_ONCE
    await sender.post(small("late"))
    headers = {VERSION: "2.0.0", "Authorization": sender.authorization}
    following = (await sender.api.call("GET", page["more"], token="", headers=headers)).json()
    seen = [one["id"] for one in page["statements"] + following["statements"]]
    assert seen == [name for ids in reversed(first) for name in reversed(ids)][: len(seen)]


async def test_what_is_voided_is_seen_only_by_its_name(sender: Sender) -> None:
    ids = await sender.post(small(id=FIRST_ID), small("bob"))
    (voids,) = await sender.post(voiding(FIRST_ID))
    assert await sender.found() == [voids, ids[1]]
    assert (await sender.call("GET", query={"statementId": FIRST_ID})).status_code == 404
    voided = await sender.call("GET", query={"voidedStatementId": FIRST_ID})
    assert voided.json()["id"] == FIRST_ID
    assert (await sender.call("GET", query={"voidedStatementId": ids[1]})).status_code == 404
    (unnamed,) = await sender.post(small("kim"))
    await sender.post(voiding(unnamed))
    assert (await sender.post(small("kim")))[0] != unnamed, "sent again, it is another one"
    assert len(await sender.found(agent=account("kim"))) == 1 + 1, "with the one that voids"


async def test_formats_and_languages(sender: Sender) -> None:
    await sender.post(whole())
    query = {"format": "canonical"}
    answer = await sender.call("GET", query={"statementId": FIRST_ID, **query}, headers={"Accept-Language": "de"})
    assert answer.json()["verb"]["display"] == {"de": "beantwortete"}
    assert (await sender.statement(FIRST_ID, format="ids"))["object"] == {"id": whole()["object"]["id"]}
    assert rule_of(await sender.call("GET", query={"format": "short"})) == "format_is_known"


async def test_what_is_consistent_is_told_with_every_answer(sender: Sender) -> None:
    for answer in (
        await sender.call("GET"),
        await sender.call("GET", query={"limit": "x"}),
        await sender.call("POST", body=small()),
        await sender.call("HEAD"),
    ):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", answer.headers[THROUGH])
    (newest,) = (await sender.call("GET")).json()["statements"]
    assert (await sender.call("GET")).headers[THROUGH] > newest["stored"]


WRONG_PARAMETERS: list[tuple[Mapping[str, Any], str]] = [
    ({"statementId": "1"}, "uuid_is_standard"),
    ({"statementId": FIRST_ID, "voidedStatementId": FIRST_ID}, "one_needs_no_filter"),
    ({"statementId": FIRST_ID, "verb": "https://a.example"}, "one_needs_no_filter"),
    ({"StatementId": FIRST_ID}, "parameter_is_known"),
    ({"verb": "answered"}, "iri_is_absolute"),
    ({"agent": "ada"}, "json_is_formed"),
    ({"agent": {"name": "ada"}}, "agent_is_identified"),
    ({"agent": {"objectType": "Group", "member": [account()]}}, "filter_names_somebody"),
    ({"agent": "[" * 20_000}, "json_is_shallow"),
    ({"limit": "-1"}, "parameter_is_whole"),
    ({"limit": "٣"}, "parameter_is_whole"),
    ({"since": "yesterday"}, "timestamp_is_iso8601"),
    ({"ascending": "1"}, "parameter_is_boolean"),
    ({"cursor": "x"}, "parameter_is_whole"),
]


async def test_a_parameter_that_is_wrong_is_refused_by_its_rule(sender: Sender) -> None:
    for query, rule in WRONG_PARAMETERS:
        assert rule_of(await sender.call("GET", query=query)) == rule


async def test_repeated_and_broken_parameters_are_refused(sender: Sender) -> None:
    assert rule_of(await sender.call("GET", "/statements?limit=1&limit=2")) == "parameter_is_single"
    assert rule_of(await sender.call("GET", "/statements?verb=%ff")) == "fields_are_encoded"
    assert (
        rule_of(await sender.call("GET", "/statements?" + "&".join(f"a{n}=1" for n in range(200))))
        == "fields_are_encoded"
    )


# ---- versions, methods, forms, browsers


@pytest.mark.parametrize("base", ["/xapi", "/xapi/1.0.3"])
@pytest.mark.parametrize(
    ("named", "spoken"),
    [("1.0", "1.0.3"), ("1.0.1", "1.0.3"), ("1.0.3", "1.0.3"), ("2.0", "2.0.0"), ("2.0.0", "2.0.0")],
)
async def test_a_request_has_the_version_that_it_names(sender: Sender, base: str, named: str, spoken: str) -> None:
    """As Moodle and H5P do, which name 1.0.x wherever they send to."""
    headers = {"Authorization": sender.authorization, VERSION: named}
    sent = msgspec.json.encode(small(id=FIRST_ID))
    answer = await sender.api.call("POST", f"{base}/statements", token="", headers=headers, content=sent)
    assert (answer.status_code, answer.headers[VERSION]) == (200, spoken)
    stored = await sender.statement(FIRST_ID)
    assert stored["version"] == ("1.0.0" if spoken == "1.0.3" else "2.0.0")


@pytest.mark.parametrize(("base", "usual"), [("/xapi", "2.0.0"), ("/xapi/1.0.3", "1.0.3")])
@pytest.mark.parametrize("named", [None, "0.95", "1.1", "2.0.x", "1.0.", "BAD", "1.0.\u0663"])
async def test_a_request_that_names_no_version_is_answered_in_that_of_the_address(
    sender: Sender, base: str, usual: str, named: str | None
) -> None:
    headers = {"Authorization": sender.authorization} | ({} if named is None else {VERSION: named})
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    answer = await sender.api.client.get(f"{base}/statements", headers=sent)
    assert rule_of(answer) == "version_is_supported"
    assert answer.headers[VERSION] == usual


async def test_what_each_version_does_is_done_at_both_addresses(sender: Sender) -> None:
    form = {"Authorization": sender.authorization, "Content-Type": FORM}
    for base in ("/xapi", "/xapi/1.0.3"):
        asked = f"{base}/statements?method=GET"
        old = await sender.api.call("POST", asked, token="", headers={**form, VERSION: "1.0.3"}, content=b"limit=1")
        assert (old.status_code, old.headers[VERSION]) == (200, "1.0.3")
        new = await sender.api.call("POST", asked, token="", headers={**form, VERSION: "2.0.0"}, content=b"limit=1")
        assert rule_of(new) == "parameter_is_known"


async def test_each_address_says_what_it_speaks(sender: Sender) -> None:
    (old,) = await sender.post(small(), version="1.0.3")
    assert (await sender.statement(old))["version"] == "1.0.0"
    about = await sender.api.call("GET", "/xapi/about", token="")
    assert about.json()["version"] == ["1.0.3", "2.0.0"]


async def test_other_methods_are_named(sender: Sender) -> None:
    answer = await sender.call("DELETE")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert (await sender.call("POST", "/about", body={})).status_code == 405
    assert (await sender.call("GET", "/nowhere")).status_code == 404


async def test_a_browser_may_ask_from_anywhere_and_needs_a_credential(sender: Sender) -> None:
    for path in ("/xapi/statements", "/xapi/about"):
        preflight = await sender.api.call("OPTIONS", path, token="")
        assert preflight.status_code == 204
        assert "X-Experience-API-Version" in preflight.headers["Access-Control-Allow-Headers"]
    answer = await sender.call("GET", headers={"Origin": "https://content.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert THROUGH in answer.headers["Access-Control-Expose-Headers"]


async def form(
    sender: Sender, method: str, fields: Mapping[str, str], version: str = "1.0.3", path: str = "/statements"
) -> httpx.Response:
    content = urlencode(fields).encode()
    return await sender.call(
        "POST", f"{path}?method={method}", version=version, content=content, headers={"Content-Type": FORM}
    )


async def test_in_103_a_form_stands_for_any_call(sender: Sender) -> None:
    put = {"statementId": FIRST_ID, "content": text(small())}
    assert (await form(sender, "PUT", put)).status_code == 204
    found = await form(sender, "GET", {"limit": "1"})
    assert [one["id"] for one in found.json()["statements"]] == [FIRST_ID]
    bare = urlencode({**put, "Authorization": sender.authorization, VERSION: "1.0.3"}).encode()
    answer = await sender.api.call(
        "POST", "/xapi/1.0.3/statements?method=PUT", token="", content=bare, headers={"Content-Type": FORM}
    )
    assert answer.status_code == 204
    assert rule_of(await form(sender, "PUT", {"statementId": FIRST_ID})) == "form_has_content"
    assert rule_of(await form(sender, "PATCH", put)) == "method_is_known"
    assert rule_of(await form(sender, "PUT&limit=1", put)) == "form_has_all"
    assert rule_of(await form(sender, "GET", {VERSION: "0.9"})) == "version_is_supported"
    assert (await form(sender, "DELETE", {})).status_code == 405
    assert rule_of(await form(sender, "GET", {}, version="2.0.0")) == "parameter_is_known"


# ---- attachments


async def test_attachments_come_back_with_their_statements(sender: Sender) -> None:
    statement = small(id=FIRST_ID, attachments=[attachment(ESSAY)])
    assert (await send_parts(sender, statement, ESSAY)).status_code == 200
    answer = await sender.call("GET", query={"statementId": FIRST_ID, "attachments": "true"})
    boundary = answer.headers["content-type"].partition("boundary=")[2]
    first, second = parts_of(answer.content, boundary)
    assert msgspec.json.decode(first.content)["id"] == FIRST_ID
    assert second.content == ESSAY
    assert second.headers["content-type"] == "text/x-essay"
    assert second.headers["x-experience-api-hash"] == sha256(ESSAY).hexdigest()
    plain = await sender.call("GET", query={"statementId": FIRST_ID})
    assert plain.headers["content-type"] == "application/json"


async def test_attachments_that_lie_are_refused(sender: Sender) -> None:
    lying = {"X-Experience-API-Hash": sha256(b"other").hexdigest()}
    of_other = small(attachments=[attachment(ESSAY, sha2=lying["X-Experience-API-Hash"])])
    assert rule_of(await send_parts(sender, of_other, ESSAY, **lying)) == "content_has_hash"
    assert (
        rule_of(await send_parts(sender, small(attachments=[attachment(ESSAY, length=5)]), ESSAY)) == "length_is_true"
    )
    assert rule_of(await send_parts(sender, small(attachments=[attachment(ESSAY)]))) == "contents_are_sent_or_linked"
    assert (
        rule_of(await sender.call("POST", body=small(attachments=[attachment(ESSAY)]))) == "contents_are_sent_or_linked"
    )
    assert rule_of(await send_parts(sender, small(), ESSAY)) == "part_is_described"
    assert await sender.found() == []


async def test_the_content_type_is_one_of_two(sender: Sender) -> None:
    for kind, rule in (
        ("text/plain", "content_type_is_known"),
        ("multipart/form-data; boundary=x", "content_type_is_known"),
        ("multipart/mixed", "boundary_is_named"),
        ("multipart/mixed; boundary=x", "parts_are_framed"),
    ):
        answer = await sender.call("POST", content=text(small()).encode(), headers={"Content-Type": kind})
        assert rule_of(answer) == rule
    body = written([BodyPart({"Content-Type": "text/plain"}, text(small()).encode())], "x")
    kind = "multipart/mixed; boundary=x"
    assert rule_of(await sender.call("POST", content=body, headers={"Content-Type": kind})) == "first_part_is_json"


# ---- malice


async def test_bodies_have_limits(sender: Sender) -> None:
    large = small(result={"response": "x" * MAX_BODY})
    assert (await sender.call("POST", body=large)).status_code == 413
    assert (await send_parts(sender, large)).status_code == 413
    essay = b"x" * (10 * 1024 * 1024)
    assert (await send_parts(sender, small(attachments=[attachment(essay)]), essay)).status_code == 413
    essay = b"x" * (MAX_ATTACHED - 4_000)
    assert (await send_parts(sender, small(attachments=[attachment(essay)]), essay)).status_code == 200


NO_STATEMENTS = [
    b'{"context":' * 80_000 + b"1" + b"}" * 80_000,
    b"[" * 500_000 + b"]" * 500_000,
    b'{"a":NaN}',
    b'"\\ud800"',
    b"\xff\xfe",
    b"",
    b"null",
    b"7",
    b"[[]]",
    b"[1, null]",
    b'{"actor":{},"verb":{},"object":{}}',
]


async def test_whatever_is_sent_is_answered_by_a_rule(sender: Sender) -> None:
    for body in NO_STATEMENTS:
        assert rule_of(await sender.call("POST", content=body))
        assert rule_of(await sender.call("PUT", query={"statementId": FIRST_ID}, content=body))
    assert await sender.found() == []


async def test_nothing_of_a_tenant_is_seen_or_changed_by_another(api: Api, sender: Sender) -> None:
    other = await sender_of(api, "school-1")
    signed = small(id=FIRST_ID, attachments=[attachment(ESSAY)])
    assert (await send_parts(sender, signed, ESSAY)).status_code == 200
    state = {"activityId": "https://a.example", "agent": account(), "stateId": "s"}
    assert (await sender.call("PUT", "/activities/state", query=state, body={"a": 1})).status_code == 204
    assert await other.found() == []
    assert await other.found(agent=account()) == []
    for name in ("statementId", "voidedStatementId"):
        assert (await other.call("GET", query={name: FIRST_ID})).status_code == 404
    assert (await other.call("GET", "/activities/state", query=state)).status_code == 404
    await other.post(voiding(FIRST_ID))
    assert (await sender.statement(FIRST_ID))["id"] == FIRST_ID
    assert (await other.post(small("bob", id=FIRST_ID))) == [FIRST_ID], "ids are a tenant's own"
    assert (
        "definition" not in (await other.call("GET", "/activities", query={"activityId": "https://a.example"})).json()
    )


async def test_without_a_credential_nothing_is_said(api: Api) -> None:
    for authorization in ("", "Basic x", "Basic " + b64encode(b"key:secret").decode(), "Bearer x"):
        intruder = Sender(api, authorization)
        for method, path in (("GET", "/statements"), ("GET", "/agents"), ("PUT", "/activities/state")):
            answer = await intruder.call(method, path)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic")
            assert answer.headers[VERSION] == "2.0.0"


async def test_a_document_of_others_runs_nothing_in_a_browser(sender: Sender) -> None:
    query = {"activityId": "https://a.example", "profileId": "p"}
    script = {"Content-Type": "text/html", "If-None-Match": "*"}
    await sender.call("PUT", "/activities/profile", query=query, content=b"<script>alert(1)</script>", headers=script)
    answer = await sender.call("GET", "/activities/profile", query=query)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


# ---- documents, activities, people

STATE = {"activityId": "https://a.example", "agent": account(), "stateId": "progress"}
AGENT = {"agent": account(), "profileId": "p"}
ACTIVITY = {"activityId": "https://a.example", "profileId": "p"}
RESOURCES = [("/activities/state", STATE), ("/agents/profile", AGENT), ("/activities/profile", ACTIVITY)]


@pytest.mark.parametrize(("path", "query"), RESOURCES)
async def test_a_document_is_guarded_by_its_etag(sender: Sender, path: str, query: Mapping[str, Any]) -> None:
    async def put(body: Any, version: str = "2.0.0", **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await sender.call("PUT", path, query=query, body=body, version=version, headers=named)).status_code

    assert (await sender.call("GET", path, query=query)).status_code == 404
    assert await put({"a": 1}, If_Match='"x"') == 412
    assert await put({"a": 1}, If_None_Match="*") == 204
    answer = await sender.call("GET", path, query=query)
    assert answer.json() == {"a": 1}
    assert answer.headers["Last-Modified"].endswith("GMT")
    etag = answer.headers["ETag"]
    assert await put({"a": 2}) == 409
    assert await put({"a": 2}, If_None_Match="*") == 412
    assert await put({"a": 2}, If_Match='"x"') == 412
    assert await put({"a": 2}, If_Match=f'"x", {etag}') == 204
    assert await put({"a": 3}, "1.0.3") == (204 if path == "/activities/state" else 409)
    gone = await sender.call("DELETE", path, query=query, headers={"If-Match": '"x"'})
    assert gone.status_code == 412
    assert (await sender.call("DELETE", path, query=query)).status_code == 204
    assert await put({"a": 3}, "1.0.3") == (204 if path == "/activities/state" else 400)


@pytest.mark.parametrize(("path", "query"), RESOURCES)
async def test_documents_of_json_are_merged(sender: Sender, path: str, query: Mapping[str, Any]) -> None:
    async def post(body: bytes, kind: str = "application/json") -> httpx.Response:
        return await sender.call("POST", path, query=query, content=body, headers={"Content-Type": kind})

    assert (await post(b'{"a": {"b": 1}, "c": 2}')).status_code == 204
    assert (await post(b'{"a": {"d": 3}}')).status_code == 204
    assert (await sender.call("GET", path, query=query)).json() == {"a": {"d": 3}, "c": 2}
    assert rule_of(await post(b"text", "text/plain")) == "documents_are_json"
    for body in (b"[1]", b"{", b""):
        assert rule_of(await post(body)) == "document_is_object"
    broken = await sender.call("PUT", path, query=query, content=b"{", headers={"If-Match": "*"})
    assert rule_of(broken) == "document_is_json"


async def test_states_are_listed_and_removed_by_registration(sender: Sender) -> None:
    base = {name: STATE[name] for name in ("activityId", "agent")}
    path = "/activities/state"
    for name, registration in (("a", FIRST_ID), ("b", FIRST_ID), ("c", SECOND_ID)):
        query = {**base, "stateId": name, "registration": registration}
        assert (
            await sender.call("PUT", path, query=query, content=b"x", headers={"Content-Type": "a/b"})
        ).status_code == 204

    async def names(**query: str) -> list[str]:
        listed = await sender.call("GET", path, query={**base, **query})
        assert listed.headers["ETag"]
        found: list[str] = listed.json()
        return found

    assert await names() == ["a", "b", "c"]
    assert await names(registration=SECOND_ID) == ["c"]
    assert await names(since="2100-01-01T00:00:00Z") == []
    assert (await sender.call("DELETE", path, query={**base, "registration": FIRST_ID})).status_code == 204
    assert await names() == ["c"]
    assert rule_of(await sender.call("DELETE", "/agents/profile", query={"agent": account()})) == "parameter_is_given"
    assert rule_of(await sender.call("GET", path, query={**base, "since": "x"})) == "timestamp_is_iso8601"
    assert rule_of(await sender.call("GET", path, query={**base, "stateId": ""})) == "document_is_named"


async def test_activities_and_people_are_what_statements_say(sender: Sender) -> None:
    def named(**names: str) -> Statement:
        return {"id": "https://a.example/1", "definition": {"name": names}}

    await sender.post(small(object=named(en="old", de="alt")), small("bob", object=named(en="new")))
    await sender.post(small(actor={**account(), "name": "Ada"}))
    activity = await sender.call("GET", "/activities", query={"activityId": "https://a.example/1"})
    assert activity.json() == {
        "objectType": "Activity",
        "id": "https://a.example/1",
        "definition": {"name": {"en": "new", "de": "alt"}},
    }
    unknown = await sender.call("GET", "/activities", query={"activityId": "https://a.example/2"})
    assert unknown.json() == {"objectType": "Activity", "id": "https://a.example/2"}
    person = await sender.call("GET", "/agents", query={"agent": account()})
    assert person.json() == {"objectType": "Person", "name": ["Ada"], "account": [account()["account"]]}
    assert rule_of(await sender.call("GET", "/agents")) == "parameter_is_given"


# ---- rights of students


async def test_without_consent_nothing_of_a_student_is_taken(api: Api, sender: Sender) -> None:
    kim = student_of(api, account("kim"))
    await api.call("PUT", f"/compliance/students/{kim}/consent", {"processing": False})
    api.clock.ahead += 2_000_000
    group = small(actor={"objectType": "Group", "member": [account("bob"), account("kim")]})
    planned = {"objectType": "SubStatement", **small("kim")}
    about = small("bob", object=account("kim"))
    for refused in ([small("kim")], [group], [about], [small("bob", object=planned)], [small("kim"), group, about]):
        answer = await sender.call("POST", body=refused)
        assert answer.status_code == 403, answer.text
        assert "kim" not in answer.text, "a name that no id of a request can hold, which is hexadecimal"
    state = await sender.call("PUT", "/activities/state", query={**STATE, "agent": account("kim")}, body={})
    assert state.status_code == 403
    assert await sender.found() == []


async def test_an_export_has_a_students_statements_and_an_erasure_takes_theirs_alone(api: Api, sender: Sender) -> None:
    mail = {"mbox": "mailto:ada@school.example"}
    link = {"external": [{"system": "mailto", "id": "ada@school.example"}]}
    assert (await api.call("PUT", "/students/ada/profile", link)).status_code == 200
    team = {"objectType": "Group", "member": [mail, account("bob")]}
    own, shared, taught, other = await sender.post(
        small(actor=mail), small(actor=team), small("eve", context={"instructor": mail}), small("bob")
    )
    await sender.post(voiding(own))
    await sender.call("PUT", "/activities/state", query={**STATE, "agent": mail}, body={"page": 7})
    export = (await api.get("/compliance/students/ada/export")).json()["data"]
    assert [one["id"] for one in export["statements"]] == [own, shared, taught]
    assert "bob" not in text(export["statements"])
    assert export["statements"][1]["actor"]["member"] == [mail, {"objectType": "Agent", "name": "somebody else"}]
    (held,) = export["resources"]
    assert (held["name"], held["content"], held["about"]["resource"]) == ("progress", '{"page":7}', "state")
    assert (await api.call("DELETE", "/compliance/students/ada")).status_code == 200
    assert (await sender.call("GET", query={"voidedStatementId": own})).status_code == 404
    assert (await sender.statement(shared))["actor"]["member"] == [account("bob")]
    assert "context" not in await sender.statement(taught) or not (await sender.statement(taught))["context"]
    assert set(await sender.found(agent=account("bob"))) == {shared, other}
    assert await sender.found(agent=mail, related_agents="true") == []
    assert (await sender.call("GET", "/activities/state", query={**STATE, "agent": mail})).status_code == 404


async def test_statements_live_for_the_retention(api: Api, sender: Sender) -> None:
    await sender.post(small())
    await sender.call("PUT", "/activities/state", query=STATE, body={})
    api.clock.ahead += 80 * DAY
    (newer,) = await sender.post(small("bob"))
    api.clock.ahead += 12 * DAY
    await api.engine.purge.run()
    assert await sender.found() == [newer]
    assert (await sender.call("GET", "/activities/state", query=STATE)).status_code == 404


async def test_who_sent_what_is_on_the_audit_trail(api: Api, sender: Sender) -> None:
    await sender.post(small())
    await sender.call("PUT", "/activities/state", query=STATE, body={})
    calls = [(one.call, one.role, one.allowed) for one in await api.audited()]
    assert ("xapi-statements", "service", True) in calls
    assert ("xapi-state", "service", True) in calls


# ---- evidence


def answered(name: str = "ada", *, scaled: float, **more: Any) -> Statement:
    """A quiz that an H5P activity was scored for."""
    definition = {"type": "http://adlnet.gov/expapi/activities/assessment", "name": {"en": "Loops"}}
    activity = {"objectType": "Activity", "id": "https://lms.example/quiz/1", "definition": definition}
    verb = {"id": "http://adlnet.gov/expapi/verbs/scored"}
    result = {"score": {"scaled": scaled, "raw": 10 * scaled, "min": 0, "max": 10}, "completion": True}
    return small(name, verb=verb, object=activity, result=result, **more)


async def quizzed(api: Api, student_id: str) -> float:
    """A student's quiz component, once it is there."""
    async with asyncio.timeout(10):
        while True:
            answer = await api.post("/mastery/query", {"student_id": student_id})
            if answer.status_code == 200:
                return float(answer.json()["data"]["current_mastery"]["components"]["quiz"])
            await asyncio.sleep(0.02)


async def test_what_a_statement_says_is_evidence_once(api: Api, sender: Sender) -> None:
    statement = answered(scaled=0.8)
    ids = await sender.post(statement)
    ada = student_of(api, account("ada"))
    assert await quizzed(api, ada) == pytest.approx(0.8)
    assert await sender.post(statement) == ids
    await sender.post(answered("bob", scaled=0.4))
    assert await quizzed(api, student_of(api, account("bob"))) == pytest.approx(0.4)
    export = (await api.get(f"/compliance/students/{ada}/export")).json()["data"]
    assert len({one["event_id"] for one in export["events"]}) == 1
    assert len(export["statements"]) == 1


@pytest.mark.parametrize("named", [{}, {"id": FIRST_ID.upper()}])
@pytest.mark.parametrize("timed", [True, False])
async def test_a_statement_that_comes_by_a_file_too_is_one_event(
    api: Api, sender: Sender, named: Mapping[str, str], timed: bool
) -> None:
    """With an id or without, as Moodle's are, and whichever door it came through first."""
    when = {"timestamp": rfc3339(api.clock() - MINUTE)} if timed else {}
    statement = answered(
        scaled=0.8, context={"contextActivities": {"parent": {"id": "https://a.example"}}}, **named, **when
    )
    platform = PlatformCaller(Caller("file", "service"), None)
    for _ in range(2):
        await sender.post(statement, version="1.0.3")
        await api.engine.doorways.take(platform, "xapi", [statement])
    ada = student_of(api, account("ada"))
    assert await quizzed(api, ada) == pytest.approx(0.8)
    export = (await api.get(f"/compliance/students/{ada}/export")).json()["data"]
    assert len({one["event_id"] for one in export["events"]}) == 1


@pytest.mark.parametrize(
    ("public_url", "home"),
    [(None, "urn:mastery-engine:credentials"), ("https://mastery.example", "https://mastery.example")],
)
async def test_the_authority_of_a_statement_has_its_name_where_others_see_the_service(
    tmp_path: Path, public_url: str | None, home: str
) -> None:
    async with serving(tmp_path, public_url=public_url) as api:
        sender = await sender_of(api)
        await sender.post(answered(scaled=0.5))
        found = (await sender.call("GET", "/statements")).json()["statements"][0]
        authority = found["authority"]["account"]
        assert (authority["homePage"], authority["name"].startswith("credential:")) == (home, True)


async def test_a_deployment_may_keep_no_statements(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        before = await sender_of(api)
        await before.post(answered(scaled=0.5))
        await before.call("PUT", "/activities/state", query=STATE, body={"a": 1})
    async with serving(tmp_path, xapi_statements="forward") as api:
        sender = await sender_of(api)
        assert len(await sender.post(answered("bob", scaled=0.4), answered("eve", scaled=1))) == 2
        assert await quizzed(api, student_of(api, account("bob"))) == pytest.approx(0.4)
        assert rule_of(await sender.call("POST", body=small(verb={}))) == "has_required"
        for method, path, query in (
            ("GET", "/statements", {}),
            ("GET", "/statements", {"statementId": FIRST_ID}),
            ("GET", "/activities", {"activityId": "https://a.example"}),
            ("GET", "/agents", {"agent": account()}),
            ("GET", "/activities/state", STATE),
            ("DELETE", "/activities/state", STATE),
        ):
            refused = await sender.call(method, path, query=query)
            assert refused.status_code == 403, (method, path, refused.text)
            assert "XAPI_STATEMENTS=forward" in refused.json()["error"]["message"]
        assert (await sender.call("PUT", "/activities/state", query=STATE, body={})).status_code == 403
        ada = student_of(api, account("ada"))
        export = (await api.get(f"/compliance/students/{ada}/export")).json()["data"]
        assert (len(export["statements"]), len(export["resources"])) == (1, 1), "what was kept before is theirs"
        assert (await api.call("DELETE", f"/compliance/students/{ada}")).status_code == 200
    async with serving(tmp_path) as api:
        after = await sender_of(api)
        assert await after.found() == []
        assert (await after.call("GET", "/activities/state", query=STATE)).status_code == 404
