"""Statements of xAPI for the suites: one with everything in it, and small ones."""

from typing import Any

Statement = dict[str, Any]

ANSWERED = "http://adlnet.gov/expapi/verbs/answered"
VOIDED = "http://adlnet.gov/expapi/verbs/voided"
HOME = "https://lms.example"
FIRST_ID = "6690e6c9-3ef0-4ed3-8b37-7f3964730bee"
SECOND_ID = "2a41c918-b88b-4220-a000-0fb4b5bd5f70"
REGISTRATION = "ec531277-b57b-4c15-8d91-d292c5b2b8f7"
SHA2 = "495395e777cd98da653df9615d09c0fd6bb2f8d4788394cd53c56a3bfdcd848a"


def account(name: str = "ada") -> Statement:
    return {"objectType": "Agent", "account": {"homePage": HOME, "name": name}}


def small(name: str = "ada", activity: str = "https://lms.example/quiz/1", **more: Any) -> Statement:
    """A statement with as little as one may have."""
    return {"actor": account(name), "verb": {"id": ANSWERED}, "object": {"id": activity}} | more


def voiding(statement_id: str, **more: Any) -> Statement:
    reference = {"objectType": "StatementRef", "id": statement_id}
    return {"actor": account("teacher"), "verb": {"id": VOIDED}, "object": reference} | more


def whole() -> Statement:
    """A statement with all that version 2.0.0 knows."""
    return {
        "id": FIRST_ID,
        "version": "2.0.0",
        "actor": {
            "objectType": "Group",
            "name": "team",
            "member": [account("ada"), {"mbox": "mailto:bob@school.example"}],
        },
        "verb": {"id": ANSWERED, "display": {"en-US": "answered", "de": "beantwortete"}},
        "object": {
            "objectType": "Activity",
            "id": "https://lms.example/question/7",
            "definition": {
                "name": {"en": "Loops", "de": "Schleifen"},
                "description": {"en": "Which loop?"},
                "type": "http://adlnet.gov/expapi/activities/cmi.interaction",
                "moreInfo": "https://lms.example/about",
                "interactionType": "choice",
                "correctResponsesPattern": ["a[,]b"],
                "choices": [{"id": "a", "description": {"en": "for", "de": "für"}}, {"id": "b"}],
                "extensions": {"https://lms.example/x": None},
            },
        },
        "result": {
            "score": {"scaled": 0.5, "raw": 5, "min": 0, "max": 10},
            "success": True,
            "completion": False,
            "response": "a",
            "duration": "PT1H2M3.4567S",
            "extensions": {"https://lms.example/y": [1, None]},
        },
        "context": {
            "registration": REGISTRATION,
            "instructor": {"mbox_sha1sum": "EBD31E95054C018B10727CCFFD2EF2EC3A016EE9"},
            "team": {"objectType": "Group", "openid": "https://id.example/team"},
            "contextActivities": {
                "parent": {"id": "https://lms.example/quiz/1"},
                "grouping": [{"id": "https://lms.example/course/1"}],
            },
            "contextAgents": [
                {"objectType": "contextAgent", "agent": account("eve"), "relevantTypes": ["https://lms.example/peer"]}
            ],
            "contextGroups": [
                {"objectType": "contextGroup", "group": {"objectType": "Group", "member": [account("kim")]}}
            ],
            "revision": "1",
            "platform": "LMS",
            "language": "en-US",
            "statement": {"objectType": "StatementRef", "id": SECOND_ID},
            "extensions": {"https://lms.example/z": 1},
        },
        "timestamp": "2026-01-14T12:30:00+02:00",
        "stored": "2026-01-14T10:30:01Z",
        "authority": account("sender"),
        "attachments": [
            {
                "usageType": "https://lms.example/essay",
                "display": {"en": "Essay"},
                "description": {"en": "An essay"},
                "contentType": "text/plain; charset=ascii",
                "length": 27,
                "sha2": SHA2,
                "fileUrl": "https://lms.example/essay.txt",
            }
        ],
    }


def within(statement: Statement) -> Statement:
    """A statement whose object is this one, as a sub-statement."""
    inner = {name: part for name, part in statement.items() if name not in ("id", "version", "stored", "authority")}
    return small("eve") | {"object": {**inner, "objectType": "SubStatement"}}
