"""The service beside a real sidecar: invocation, events published through it, documents behind it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.servers.cache import free_port
from scripts.servers.dapr import Dapr, sdk
from scripts.servers.redis import Redis
from tests.support.calls import COMPONENTS, event
from tests.support.live import Live
from tests.support.real_servers import RealServers
from tests.support.sidecars import PUBSUB, STATE, redis_pubsub, redis_state

# The first run of all builds the sidecar.
pytestmark = [pytest.mark.xdist_group("redis"), pytest.mark.timeout(2_400)]

APP, API = "what-the-sidecar-shows-the-app", "what-is-shown-to-the-sidecar"


class Mesh:
    """The service, its sidecar, and another service's sidecar."""

    def __init__(self, live: Live, sidecar: Dapr) -> None:
        self.live = live
        self.sidecar = sidecar

    def post(self, path: str, body: Any) -> httpx.Response:
        return httpx.post(f"{self.sidecar.url}{path}", json=body, headers={"dapr-api-token": API}, timeout=30)

    def invoke(self, intent: str, payload: Any, **context: str) -> httpx.Response:
        body = {"intent": intent, "payload": payload, "security_context": context}
        return self.post("/v1.0/invoke/mastery-engine/method/process", body)


@pytest.fixture(scope="module")
def mesh(real_servers: RealServers, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    home = tmp_path_factory.mktemp("mesh")
    port, sidecar_port = free_port(), free_port()
    components: list[Mapping[str, Any]] = [redis_state(redis_server.port), redis_pubsub(redis_server.port)]
    with redis_server.client() as client:
        client.flushall()

    def beside() -> Dapr:
        return Dapr(components, app_port=port, port=sidecar_port, home=home / "dapr", api_token=API, app_token=APP)

    settings = {"PORT": str(port), "DAPR_HTTP_PORT": str(sidecar_port), "DAPR_STATE_STORE": STATE}
    settings |= {"DAPR_PUBSUB": PUBSUB, "APP_API_TOKEN": APP, "DAPR_API_TOKEN": API, "EVENT_LOG": "sqlite"}
    live = Live(home / "data", home=home, **settings)
    (home / "dapr").mkdir()
    # The service starts first, and is ready once its sidecar is there.
    live.ready = lambda: _alive(live)  # type: ignore[method-assign]
    with live:
        assert httpx.get(f"{live.url}/ready").status_code == 503
        with real_servers.started("Dapr", beside) as sidecar:
            made = Mesh(live, sidecar)
            comes_true(lambda: httpx.get(f"{live.url}/ready").status_code == 200)
            comes_true(lambda: made.invoke("query", {"student_id": "nobody"}).status_code == 404)
            yield made


def _alive(live: Live) -> bool:
    try:
        return httpx.get(f"{live.url}/health", timeout=5).is_success
    except httpx.TransportError:
        return False


def comes_true(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_briefs_invocation_answers_through_the_sidecar(mesh: Mesh) -> None:
    answer = mesh.invoke("mastery_calculation", {"student_id": "student_12345", "components": COMPONENTS})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["current_mastery"]["mastery_score"] == 0.862
    again = mesh.invoke("query", {"student_id": "student_12345"}).json()["data"]
    assert again["current_mastery"]["mastery_score"] == 0.862


def test_tenants_are_the_contexts(mesh: Mesh) -> None:
    body = {"student_id": "student_t", "components": {"quiz": 0.5}}
    assert mesh.invoke("mastery_calculation", body, tenant="school-1").status_code == 200
    assert mesh.invoke("query", {"student_id": "student_t"}).status_code == 404
    assert mesh.invoke("query", {"student_id": "student_t"}, tenant="school-1").status_code == 200


def test_nobody_comes_in_beside_the_sidecar(mesh: Mesh) -> None:
    body = {"intent": "query", "payload": {"student_id": "student_12345"}}
    assert httpx.post(f"{mesh.live.url}/process", json=body).status_code == 401
    refused = httpx.post(f"{mesh.sidecar.url}/v1.0/invoke/mastery-engine/method/process", json=body)
    assert refused.status_code == 401


def test_what_dapr_publishes_counts_once_and_poison_goes_to_the_dead_letters(mesh: Mesh, redis_server: Redis) -> None:
    good, bad = event("quiz", student_id="student_p"), {**event("quiz", student_id="student_p"), "data": {}}
    for sent in (bad, good, good):
        assert mesh.post(f"/v1.0/publish/{PUBSUB}/mastery.requests", sent).status_code == 204
    with mesh.live.client() as client:

        def status(sent: Any) -> str:
            answer = client.get(f"/students/student_p/events/{sent['event_id']}")
            return str(answer.json()["data"]["status"])

        comes_true(lambda: status(good) == "processed")
        comes_true(lambda: status(bad) == "dead_lettered")
        found = client.post("/mastery/query", json={"student_id": "student_p"}).json()["data"]["current_mastery"]
        assert found["components"]["quiz"] == 0.9
    with redis_server.client() as client_of_redis:
        comes_true(lambda: client_of_redis.xlen("mastery.dlq") == 1)
        ((_, fields),) = client_of_redis.xrange("mastery.dlq")
        assert bad["event_id"].encode() in fields[b"data"]


def test_documents_are_behind_the_state_api(mesh: Mesh, redis_server: Redis) -> None:
    mesh.invoke("mastery_calculation", {"student_id": "student_d", "components": COMPONENTS})
    with redis_server.client() as client:
        assert client.exists("mastery-engine||d:default:student_d")


def test_the_official_sdk_invokes_it(mesh: Mesh, real_servers: RealServers, tmp_path: Path) -> None:
    folder = real_servers.had("Dapr SDK for Python", sdk)
    script = """
import json, os
from dapr.clients import DaprClient
with DaprClient() as client:
    payload = {"student_id": "student_sdk", "components": {"completion": 0.85, "quiz": 0.90}}
    answer = client.invoke_method(
        app_id="mastery-engine", method_name="process", http_verb="POST", content_type="application/json",
        data=json.dumps({"intent": "mastery_calculation", "payload": payload}),
    )
    print(answer.text())
"""
    given = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(folder),
        "DAPR_HTTP_PORT": str(mesh.sidecar.port),
        "DAPR_GRPC_PORT": str(mesh.sidecar.grpc_port),
        "DAPR_RUNTIME_HOST": "127.0.0.1",
        "DAPR_API_TOKEN": API,
    }
    done = subprocess.run([sys.executable, "-c", script], env=given, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["student_id"] == "student_sdk"


def test_a_sidecar_without_tokens_comes_in_where_loopback_is_trusted(
    real_servers: RealServers, redis_server: Redis, tmp_path: Path
) -> None:
    """Its own calls and what it publishes; not what a web page or another application's sidecar sends through it."""
    port = free_port()
    settings = {"PORT": str(port), "EVENT_LOG": "sqlite", "DAPR_TRUST_LOOPBACK": "true"}

    def beside() -> Dapr:
        """As another application than the mesh's, whose events it would share."""
        components: list[Mapping[str, Any]] = [redis_pubsub(redis_server.port)]
        return Dapr(components, app_id="laptop", app_port=port, home=tmp_path / "dapr")

    (tmp_path / "dapr").mkdir()
    with (
        Live(tmp_path / "data", home=tmp_path, **settings) as live,
        real_servers.started("Dapr", beside) as sidecar,
        live.client() as client,
    ):
        invoked = f"{sidecar.url}/v1.0/invoke/laptop/method/process"
        call = {"intent": "query", "payload": {"student_id": "nobody"}}
        comes_true(lambda: httpx.post(invoked, json=call).status_code == 404)
        sent = event("quiz", student_id="student_l")
        assert httpx.post(f"{sidecar.url}/v1.0/publish/{PUBSUB}/mastery.requests", json=sent).status_code == 204
        status = f"/students/student_l/events/{sent['event_id']}"
        comes_true(lambda: client.get(status).json()["data"]["status"] == "processed")
        for headers in ({"Origin": "https://evil.example"}, {"X-Forwarded-For": "192.0.2.1"}):
            assert httpx.post(invoked, json=call, headers=headers).status_code == 401, headers
            assert httpx.post(f"{live.url}/process", json=call, headers=headers).status_code == 401, headers
        assert httpx.post(invoked, content=json.dumps(call)).status_code == 415  # of no type, as any page may send
