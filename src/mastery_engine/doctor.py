"""The doctor: looks at an installation as it is, changes nothing, and says what is to be mended.

It works with and without a running service. A new check is a function in ``CHECKS``.
"""

import asyncio
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, TypeAlias

import httpx
import msgspec

from mastery_engine import wiring
from mastery_engine.auth.jwks import fetch, keys_in, system_trust
from mastery_engine.data_folder import PSEUDONYM_FILE, SECRET_FILE
from mastery_engine.domain.moments import SECOND
from mastery_engine.errors import StartRefused, Unavailable
from mastery_engine.model_files import NOT_THERE_YET, answer_models, forecast_model, lacks_model_file, skill_model
from mastery_engine.ports.backend import Connection
from mastery_engine.responses.readiness import ReadinessReport
from mastery_engine.settings import Settings, settings_from, warnings_for
from mastery_engine.wiring_clocks import system_clock
from mastery_engine.wiring_tokens import tokens

ANSWER_S = 5.0
MOST_SKEW_S = 60  # a token is taken so long after its end
SCARCE, LITTLE = 100 * 2**20, 2**30  # bytes free on the disk of the data folder

FindingStatus: TypeAlias = Literal["ok", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True):
    """What a check came to: of what, how that is, and what to do if it is not well."""

    about: str
    status: FindingStatus
    message: str


class Installation(msgspec.Struct, frozen=True):
    """What is examined."""

    settings: Settings
    environ: Mapping[str, str]


Check: TypeAlias = Callable[[Installation], AsyncIterator[Finding]]


async def examine(environ: Mapping[str, str]) -> AsyncIterator[Finding]:
    """What all checks come to, as they do. With settings that cannot be read that is all."""
    try:
        settings = settings_from(environ)
    except StartRefused as refused:
        yield Finding("settings", "problem", refused.message)
        return
    for check in CHECKS:
        async for finding in check(Installation(settings, environ)):
            yield finding


async def look_at_settings(installation: Installation) -> AsyncIterator[Finding]:
    """Settings that can be read, and those that are probably mistakes."""
    settings = installation.settings
    yield Finding(
        "settings", "ok", f"{settings.environment}, the store is {settings.store}, the log is {settings.log}."
    )
    for warning in warnings_for(installation.environ, settings):
        yield Finding("settings", "warning", warning)
    if settings.in_production and settings.allow_unsafe_servers:
        yield Finding(
            "settings", "warning", "ALLOW_UNSAFE_SERVERS is true: dangerous settings of servers stop no start."
        )


async def look_at_files(installation: Installation) -> AsyncIterator[Finding]:
    """The files that settings name, and what traces need."""
    settings = installation.settings
    told: dict[str, None] = {}
    models = (skill_model, answer_models, forecast_model)
    for read in (wiring.rules, wiring.curriculum, wiring.translation_profiles, *models, _read_tracing, _read_secret):
        try:
            read(settings)
        except StartRefused as refused:
            told[refused.message] = None  # one file has all models
    for message in told:
        yield Finding("files", "problem", message)
    if lacks_model_file(settings):
        yield Finding("files", "warning", f"{NOT_THERE_YET} It is {settings.model_file}.")
    elif not told:
        yield Finding("files", "ok", "Rules, course, profiles and models can be read.")


def _read_secret(settings: Settings) -> None:
    """Try the secret as the service does; a secret that the first start would make is not made here."""
    if settings.jwt_secret is not None:
        tokens(settings)


def _read_tracing(settings: Settings) -> None:
    wiring.tracing_for(settings).close()


async def look_at_data_folder(installation: Installation) -> AsyncIterator[Finding]:
    """Whether the folder can be written, has room, and is closed to others."""
    for finding in _of_folder(installation.settings.data_dir):
        yield finding


def _of_folder(folder: Path) -> Iterator[Finding]:
    about = "data folder"
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        yield Finding(about, "problem", f"{there} is not a folder: set DATA_DIR to another.")
        return
    refusal = _refusal_of(there)
    if refusal is not None:
        yield Finding(about, "problem", f"{there} cannot be written ({refusal}): set DATA_DIR to another folder.")
    elif there != folder:
        yield Finding(about, "ok", f"{folder} is not there yet: the first start makes it.")
    else:
        yield Finding(about, "ok", f"{folder} can be written.")
    yield _of_room(there)
    if there == folder:
        yield from _of_rights(folder)


def _refusal_of(folder: Path) -> str | None:
    """Why no file can be made in a folder, by making one for a moment: rights don't tell of a read-only disk."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"written")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def _of_room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    words = f"The disk of {folder} has {free / 2**30:,.1f} GiB free"
    if free < SCARCE:
        return Finding("disk", "problem", f"{words}: free some room before writes fail.")
    if free < LITTLE:
        return Finding("disk", "warning", f"{words}: free some room soon.")
    return Finding("disk", "ok", f"{words}.")


def _of_rights(folder: Path) -> Iterator[Finding]:
    closed = True
    if _mode(folder) & stat.S_IRWXO:
        closed = False
        yield Finding("rights", "warning", f"{folder} is open to other users of this machine: chmod o-rwx {folder}")
    for name in (SECRET_FILE, PSEUDONYM_FILE):
        path = folder / name
        if path.exists() and _mode(path) & (stat.S_IRWXG | stat.S_IRWXO):
            closed = False
            yield Finding("rights", "problem", f"{path} is a secret that others may read: chmod 600 {path}")
    for path in sorted(folder.glob("*.db*")):
        if not os.access(path, os.R_OK | os.W_OK):
            closed = False
            yield Finding("rights", "problem", f"{path} cannot be written by this user: give it to the service's user.")
        if _mode(path) & stat.S_IRWXO:
            closed = False
            yield Finding("rights", "problem", f"{path} has students' data that others may read: chmod o-rwx {path}")
    if closed:
        yield Finding("rights", "ok", f"{folder} and what is in it are closed to others.")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def look_at_servers(installation: Installation) -> AsyncIterator[Finding]:
    """Whether the servers of store and log answer and take writes, and their dangerous settings."""
    settings = installation.settings
    try:
        connections = wiring.connections(settings)
    except StartRefused as refused:
        yield Finding("servers", "problem", refused.message)
        return
    try:
        for name, connection in connections.items():
            yield await _of_answer(name, connection)
            async for finding in _of_dangers(name, connection):
                yield finding
    finally:
        for connection in connections.values():
            await connection.close()


async def _of_answer(name: str, connection: Connection) -> Finding:
    try:
        async with asyncio.timeout(ANSWER_S):
            await connection.ping()
    except TimeoutError:
        return Finding(name, "problem", f"It has not answered within {ANSWER_S:g} s.")
    except Unavailable as error:
        return Finding(name, "problem", error.message)
    return Finding(name, "ok", "It takes writes.")


async def _of_dangers(name: str, connection: Connection) -> AsyncIterator[Finding]:
    try:
        async with asyncio.timeout(ANSWER_S):
            dangers = await connection.dangers()
    except (TimeoutError, Unavailable, StartRefused):
        return  # that it does not answer is said already
    for danger in dangers:
        yield Finding(name, "problem" if danger.is_certain else "warning", danger.message)
    if not dangers:
        yield Finding(name, "ok", "Its settings lose nothing.")


async def look_at_identity_provider(installation: Installation) -> AsyncIterator[Finding]:
    """Whether the keys of tokens can be read, and whether that server's clock agrees with ours."""
    url = installation.settings.jwt_jwks_url
    if url is None:
        return
    about = "identity provider"
    try:
        answer = await fetch(url, system_trust())
        published = keys_in(answer.body)
    except Unavailable as error:
        yield Finding(about, "problem", f"The keys at {url} cannot be read ({error.message}): look at JWT_JWKS_URL.")
        return
    usable = len(published.keys)
    if not usable:
        why = f": {published.reasons}" if published.left_out else ""
        yield Finding(about, "problem", f"{url} has no key that can check a token{why}: look at JWT_JWKS_URL.")
    else:
        left_out = f"; {published.left_out.total()} cannot: {published.reasons}" if published.left_out else ""
        yield Finding(about, "ok", f"{usable} of its keys can check tokens{left_out}.")
    skew_s = _skew_s(answer.date)
    if skew_s is not None and skew_s > MOST_SKEW_S:
        yield Finding(
            "clock",
            "problem",
            f"The clocks of this machine and of the identity provider differ by {skew_s:.0f} s: tokens seem to have "
            "ended, or not to have begun. Set both by NTP.",
        )


def _skew_s(date: str | None) -> float | None:
    """How many seconds a server's clock and ours differ; None if the server's word on the time cannot be read."""
    try:
        said = parsedate_to_datetime(date or "")
    except (TypeError, ValueError):
        return None
    return abs(said.timestamp() - system_clock() / SECOND)


async def look_at_service(installation: Installation) -> AsyncIterator[Finding]:
    """What the service at HOST and PORT says of itself, if one runs there."""
    settings = installation.settings
    address = address_of(settings.host, settings.port)
    try:
        report = await readiness_at(address)
    except Unavailable:
        yield Finding("service", "ok", f"None runs at {address} now.")
        return
    except StartRefused as refused:
        yield Finding("service", "warning", refused.message)
        return
    away = [dependency for dependency in report.dependencies if dependency.status == "down"]
    for dependency in away:
        yield Finding("service", "problem", f"{address} is not ready: {dependency.name}: {dependency.message}")
    if not away:
        yield Finding("service", "ok", f"{address} is ready.")
    for warning in dict.fromkeys(warning for dependency in report.dependencies for warning in dependency.warnings):
        yield Finding("service", "warning", warning)


CHECKS: tuple[Check, ...] = (
    look_at_settings,
    look_at_files,
    look_at_data_folder,
    look_at_servers,
    look_at_identity_provider,
    look_at_service,
)


# ---- the service that runs


class _Failed(msgspec.Struct):
    details: ReadinessReport


class _Answer(msgspec.Struct):
    data: ReadinessReport | None = None
    error: _Failed | None = None


def address_of(host: str, port: int) -> str:
    """The URL at which a service that listens on this host answers this machine."""
    here = host.removeprefix("[").removesuffix("]")
    try:
        address = ip_address(here)
    except ValueError:
        return f"http://{here}:{port}"
    if address.is_unspecified:
        address = ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"http://{f'[{address}]' if address.version == 6 else address}:{port}"


async def readiness_at(address: str) -> ReadinessReport:
    """What the service there says at ``/ready``.

    Raises Unavailable where nothing answers, StartRefused where something else than the engine does.
    """
    try:
        async with httpx.AsyncClient(timeout=ANSWER_S, trust_env=False) as client, asyncio.timeout(2 * ANSWER_S):
            answer = await client.get(f"{address}/ready")
    except (httpx.HTTPError, TimeoutError) as error:
        raise Unavailable(f"No service answers at {address}: look at HOST and PORT, or start one.") from error
    try:
        told = msgspec.json.decode(answer.content, type=_Answer)
    except msgspec.DecodeError as error:
        raise StartRefused(
            f"What answers at {address} is no Mastery Engine: choose another PORT, or stop it."
        ) from error
    if told.data is not None:
        return told.data
    if told.error is not None:
        return told.error.details
    raise StartRefused(f"What answers at {address} is no Mastery Engine: choose another PORT, or stop it.")
