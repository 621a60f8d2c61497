"""The wiring of tokens, apart from that of the engine: who makes one need not import all else, which takes a second."""

from mastery_engine.auth.jwks import MOST_WAITING, KeySet
from mastery_engine.auth.tokens import Tokens
from mastery_engine.clock import Clock
from mastery_engine.data_folder import SECRET_FILE, development_secret
from mastery_engine.settings import Settings
from mastery_engine.wiring_clocks import system_clock


def most_waiting(settings: Settings) -> int:
    """How many calls may wait for a slow provider of keys: they leave most places to those that need none."""
    return min(MOST_WAITING, max(1, settings.max_concurrent_requests // 4))


def tokens(settings: Settings, clock: Clock = system_clock) -> Tokens:
    """Makes and checks tokens, with the secret of the settings or of the data folder."""
    keys = KeySet(settings.jwt_jwks_url, clock, most_waiting=most_waiting(settings)) if settings.jwt_jwks_url else None
    return Tokens(
        settings.jwt_secret or (None if keys else development_secret(settings, SECRET_FILE)),
        clock,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        keys=keys,
    )
