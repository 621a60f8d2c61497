"""What the OpenAPI document allows, and what it does not, sent to every endpoint by each role: by schemathesis.

``SCHEMA_EXAMPLES`` is how many of each kind. All its checks count but ``positive_data_acceptance`` (a schema cannot say
that completed ≤ total) and, for the sidecar, ``ignored_auth`` (who shows its token may show any other beside it).
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

from tests.support.calls import STUDENT, document, event
from tests.support.live import Live, bearer, make_token

load_all_checks()

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "2"))
SIDECAR = "for-tests-alone-sidecar-0123456789-0123456789"
ROLES: dict[str, dict[str, str]] = {
    "anonymous": {},
    "student": bearer(make_token("student", subject=STUDENT)),
    "teacher": bearer(make_token("teacher", students=[STUDENT], cohorts=["py-101"])),
    "service": bearer(make_token("service")),
    "admin": bearer(make_token("admin")),
    "sidecar": {"dapr-api-token": SIDECAR},
}
LEFT_OUT = {role: CHECKS.get_by_names(["positive_data_acceptance"]) for role in ROLES}
LEFT_OUT["sidecar"] += CHECKS.get_by_names(["ignored_auth"])
FORMS = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home: Path = tmp_path_factory.mktemp("roles")
    unlimited = {"RATE_LIMIT_ENABLED": "false", "APP_API_TOKEN": SIDECAR, "LOG_LEVEL": "ERROR"}
    with Live(home / "data", home=home, **unlimited) as service:
        with service.client() as client:
            events = [{**event(kind), "metadata": {"cohort_id": "py-101"}} for kind in ("completion", "quiz", "answer")]
            assert client.post("/mastery/ingest/batch", json={"events": events}).status_code == 202
        yield service


ZIP = "/rosters/oneroster"  # there is no way to make a zip from a schema: see test_rosters


@cache
def strategies() -> list[tuple[str, st.SearchStrategy[schemathesis.Case]]]:
    """For each endpoint the calls that the document allows, and those that it does not, where it says so much."""
    schema = schemathesis.openapi.from_dict(document()).exclude(path=ZIP)
    found = [one.ok() for one in schema.get_all_operations()]
    return [(one.label, one.as_strategy(generation_mode=form)) for one in found for form in FORMS]


@pytest.mark.timeout(60 + 60 * EXAMPLES)
@pytest.mark.parametrize("role", ROLES)
def test_each_endpoint_answers_each_role_as_documented(live: Live, role: str) -> None:
    session = requests.Session()
    for label, cases in strategies():

        @settings(
            max_examples=EXAMPLES, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
        )
        @given(case=cases)
        def one(case: schemathesis.Case) -> None:
            assume(all(value not in (None, [], {}) for value in (case.query or {}).values()))  # none would be sent
            if case.path.endswith("/stream"):
                check_stream(live, session, case, role)
            else:
                case.call_and_validate(live.url, session, ROLES[role], excluded_checks=LEFT_OUT[role], timeout=10)

        try:
            one()
        except Unsatisfiable:
            assert "GET" in label or label == "POST /dapr/events", label  # there is nothing in it that could be wrong


def check_stream(live: Live, session: requests.Session, case: schemathesis.Case, role: str) -> None:
    """An answer that never ends is only looked at."""
    asked = case.as_transport_kwargs(live.url, ROLES[role])
    with session.request(**asked, stream=True, timeout=10) as answer:
        if answer.headers["content-type"].startswith("text/event-stream"):
            assert answer.status_code == 200
        else:
            case.validate_response(answer, excluded_checks=LEFT_OUT[role])
