"""Platforms that send xAPI over HTTP: what they send, find and are answered."""

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.doors.xapi.agents import identity_of
from mastery_engine.lrs.multipart import BodyPart, written
from tests.support.calls import Api
from tests.support.statements import Statement

VERSION = "X-Experience-API-Version"


@dataclass(frozen=True)
class Sender:
    """A platform with a credential of a tenant."""

    api: Api
    authorization: str

    async def call(
        self, method: str, path: str = "/statements", body: Any = None, *, version: str = "2.0.0", **how: Any
    ) -> httpx.Response:
        base = "/xapi" if version == "2.0.0" else f"/xapi/{version}"
        headers = {VERSION: version, "Authorization": self.authorization, **how.pop("headers", {})}
        if body is not None:
            how["content"] = msgspec.json.encode(body)
        query = urlencode(
            {name: value if isinstance(value, str) else text(value) for name, value in how.pop("query", {}).items()}
        )
        return await self.api.call(
            method, f"{base}{path}{'?' if query else ''}{query}", token="", headers=headers, **how
        )

    async def post(self, *statements: Statement, **how: Any) -> list[str]:
        answer = await self.call("POST", body=list(statements), **how)
        assert answer.status_code == 200, answer.text
        ids: list[str] = answer.json()
        return ids

    async def found(self, **query: Any) -> list[str]:
        """The ids of the statements that a query finds, by all its pages."""
        answer = await self.call("GET", query=query)
        ids: list[str] = []
        while True:
            assert answer.status_code == 200, answer.text
            ids += [one["id"] for one in answer.json()["statements"]]
            more = answer.json()["more"]
            if not more:
                return ids
            headers = {VERSION: "2.0.0", "Authorization": self.authorization}
            answer = await self.api.call("GET", more, token="", headers=headers)

    async def statement(self, statement_id: str, **query: Any) -> Statement:
        answer = await self.call("GET", query={"statementId": statement_id, **query})
        assert answer.status_code == 200, answer.text
        found: Statement = answer.json()
        return found


def text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def sender_of(api: Api, tenant: str = "default") -> Sender:
    made = await api.engine.credentials.create(Caller("tests", "admin", tenant), "moodle", doors=["xapi"])
    return Sender(api, f"Basic {b64encode(f'{made.key}:{made.secret}'.encode()).decode()}")


def rule_of(answer: httpx.Response, status: int = 400) -> str:
    """The rule that an answer names."""
    assert answer.status_code == status, answer.text
    rule: str = answer.json()["error"]["details"].get("rule", "")
    assert not rule or rule in answer.json()["error"]["message"]
    return rule


def student_of(api: Api, agent: Statement) -> str:
    person = identity_of(agent)
    assert person is not None
    return api.engine.record_store._profiles.derived_id("default", person)


def attachment(content: bytes, **more: Any) -> Statement:
    described = {"usageType": "https://a.example/essay", "display": {"en": "Essay"}, "contentType": "text/x-essay"}
    return described | {"length": len(content), "sha2": sha256(content).hexdigest()} | more


async def send_parts(sender: Sender, statement: Any, *contents: bytes, **headers: str) -> httpx.Response:
    parts = [BodyPart({"Content-Type": "application/json"}, msgspec.json.encode(statement))]
    for content in contents:
        usual = {"Content-Transfer-Encoding": "binary", "X-Experience-API-Hash": sha256(content).hexdigest()}
        parts.append(BodyPart(usual | headers, content))
    kind = {"Content-Type": "multipart/mixed; boundary=here"}
    return await sender.call("POST", content=written(parts, "here"), headers=kind)
