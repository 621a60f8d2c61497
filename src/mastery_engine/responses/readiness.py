"""The answers to probes and operators."""

from typing import Literal

import msgspec


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["healthy"] = "healthy"


class Dependency(msgspec.Struct, frozen=True):
    """One dependency of the service; ``latency_ms`` is null if it is down, and ``message`` says why.

    ``warnings`` are settings of its servers by which data may be lost.
    """

    name: str
    status: Literal["up", "down"]
    latency_ms: float | None
    message: str | None = None
    warnings: list[str] = []


class ReadinessReport(msgspec.Struct, frozen=True):
    """Whether all dependencies answer."""

    status: Literal["ready", "not_ready"]
    dependencies: list[Dependency]


class ServiceInfo(msgspec.Struct, frozen=True):
    """The name, version and environment of the service."""

    name: str
    version: str
    environment: str
