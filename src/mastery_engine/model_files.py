"""The models that MODEL_FILE has, or the shipped ones; and the skills' one taken up when the file is another."""

import asyncio
import logging
from importlib.resources import files
from pathlib import Path

from mastery_engine.domain.forecast.model import ForecastModel, parameters_from
from mastery_engine.domain.model_file import skills_from
from mastery_engine.domain.moments import rfc3339
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.errors import InvalidInput, StartRefused
from mastery_engine.services import Mastery
from mastery_engine.settings import Settings

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 30.0
NEVER_LOOKED = 0
SHIPPED_FORECAST = ("parameters", "forecast.msgpack")


def skill_model(settings: Settings) -> SkillModel:
    """The school's own parameters of knowledge tracing, or the defaults."""
    if settings.model_file is None:
        return DEFAULT_SKILLS
    try:
        return skills_from(settings.model_file.read_bytes()) or DEFAULT_SKILLS
    except (OSError, InvalidInput) as error:
        raise StartRefused(f"MODEL_FILE {settings.model_file} cannot be used: {error}") from error


def forecast_model(settings: Settings) -> ForecastModel:
    """The forecast's model: the school's own where MODEL_FILE has one, else the shipped one."""
    try:
        own = settings.model_file and parameters_from(settings.model_file.read_bytes())
        found = own or parameters_from(files("mastery_engine").joinpath(*SHIPPED_FORECAST).read_bytes())
    except (OSError, InvalidInput) as error:
        raise StartRefused(f"MODEL_FILE {settings.model_file} cannot be used: {error}") from error
    if found is None:
        raise StartRefused("The package has no parameters for the forecast: install it again.")
    return ForecastModel(found)


async def keep_taking(mastery: Mastery, settings: Settings, *, look_every_s: float = LOOK_EVERY_S) -> None:
    """Take up what MODEL_FILE says of skills when it changes; a file that cannot be used changes nothing."""
    path = settings.model_file
    changed: int | None = NEVER_LOOKED
    while path is not None:
        await asyncio.sleep(look_every_s)
        before, changed = changed, _changed(path)
        if changed == before:
            continue
        if changed is None:
            logger.warning("MODEL_FILE %s is gone: the model stays as it was, and the next start will fail", path)
            continue
        try:
            found = await asyncio.to_thread(skill_model, settings)
        except StartRefused as refused:
            logger.warning("the model stays as it was: %s", refused.message)
            continue
        if found != mastery.skill_model:
            mastery.take(found)
            since = rfc3339(found.revisions[-1].since) if found.revisions else None
            logger.info("took up a model", extra={"version": found.version, "newest_revision": since})


def _changed(path: Path | None) -> int | None:
    """When a file was changed, in nanoseconds; None where it is not there."""
    try:
        return None if path is None else path.stat().st_mtime_ns
    except OSError:
        return None
