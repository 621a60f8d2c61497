"""Dapr's components for the tests, and stores behind them."""

from typing import Any

from mastery_engine.backends.dapr.stores import open_stores
from mastery_engine.ports.backend import Stores
from scripts.servers.dapr import Dapr

STATE, PUBSUB = "statestore", "pubsub"


def component(name: str, kind: str, **metadata: str) -> dict[str, Any]:
    values = [{"name": key, "value": value} for key, value in metadata.items()]
    return {
        "apiVersion": "dapr.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name},
        "spec": {"type": kind, "version": "v1", "metadata": values},
    }


def redis_state(port: int) -> dict[str, Any]:
    return component(STATE, "state.redis", redisHost=f"127.0.0.1:{port}", redisPassword="")


def redis_pubsub(port: int) -> dict[str, Any]:
    return component(PUBSUB, "pubsub.redis", redisHost=f"127.0.0.1:{port}", redisPassword="")


def stores_behind(sidecar: Dapr, token: str | None = None, retention_days: int = 90) -> Stores:
    return open_stores(STATE, port=sidecar.port, token=token, retention_days=retention_days)
