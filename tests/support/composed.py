"""The engine composed as the wiring does it, on any stores and logs, with a clock of the test's own."""

from itertools import count
from typing import Any

from mastery_engine.auth.jwks import KeySet
from mastery_engine.auth.limits import Limits
from mastery_engine.auth.tokens import Tokens
from mastery_engine.backends.memory import logs as memory_logs
from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.clock import Clock
from mastery_engine.domain.courses.curriculum import NO_CURRICULUM
from mastery_engine.domain.rules import Rules
from mastery_engine.engine import Engine
from mastery_engine.model_files import ModelFileWatch, shipped_forecast
from mastery_engine.outbound.public_http import PublicHttp
from mastery_engine.ports.backend import Logs, Stores
from mastery_engine.services.models import Models
from mastery_engine.settings import Settings
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.telemetry.tracing import Tracing
from mastery_engine.wiring import compose, translation_profiles
from tests.support.samples import Clock as FakeClock

SECRET = "a secret that is long enough for all of the tests here"


def composed(
    stores: Stores | None = None, logs: Logs | None = None, clock: Clock | None = None, **parts: Any
) -> Engine:
    """An engine in memory, or on what is given; ``parts`` stand for those of ``compose`` that matter to the test."""
    clock = clock or FakeClock()
    models, numbers = Models(), count()
    usual: dict[str, Any] = {
        "rules": Rules(),
        "curriculum": NO_CURRICULUM,
        "models": models,
        "model_file": ModelFileWatch(Settings(), models),
        "forecast_model": shipped_forecast(),
        "pseudonym_key": b"",
        "consent_default": True,
        "keeps_statements": True,
        "platform_topic": None,
        "tokens": lambda: Tokens(SECRET, clock),
        "translation": translation_profiles(Settings()),
        "canvas_keys": KeySet("http://127.0.0.1:9/none", clock),
        "limits": Limits(None),
        "clock": clock,
        "new_id": lambda: f"minted-{next(numbers)}",
        "new_key": lambda: f"{next(numbers):020x}",
        "new_secret": lambda: f"random-{next(numbers)}",
        "new_bytes": lambda number: f"random-{next(numbers)}".encode().ljust(number, b"."),
        "chance": lambda: 0.5,
        "webhook_http": PublicHttp(allow_private=True, setting="WEBHOOK_ALLOW_PRIVATE"),
        "metrics": Metrics(),
        "tracing": Tracing(),
    }
    return compose(stores or memory_stores.open_stores(clock), logs or memory_logs.open_logs(), **{**usual, **parts})
