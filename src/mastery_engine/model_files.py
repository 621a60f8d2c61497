"""The models from MODEL_FILE, or the shipped ones; those of skills and answers are loaded again when it changes."""

import asyncio
import logging
from importlib.resources import files
from pathlib import Path

from mastery_engine.domain.forecast.model import ForecastModel, parameters_from
from mastery_engine.domain.model_file import answers_from, skills_from
from mastery_engine.domain.moments import rfc3339
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.skills.next_answer.parameters import NO_ANSWER_MODELS, AnswerModels
from mastery_engine.errors import InvalidInput, StartRefused
from mastery_engine.services.models import Models
from mastery_engine.setting_files import read_setting_file
from mastery_engine.settings import Settings

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 30.0
NEVER_LOOKED = 0
SHIPPED_FORECAST = ("parameters", "forecast.msgpack")


def skill_model(settings: Settings) -> SkillModel:
    """The skill model of MODEL_FILE, or the default one. Raises StartRefused."""
    if settings.model_file is None:
        return DEFAULT_SKILLS
    source = read_setting_file("MODEL_FILE", settings.model_file)
    try:
        return skills_from(source) or DEFAULT_SKILLS
    except InvalidInput as error:
        raise StartRefused(f"MODEL_FILE {settings.model_file} cannot be used: {error}") from error


def answer_models(settings: Settings) -> AnswerModels:
    """The models of the next answer in MODEL_FILE, or none that was fitted. Raises StartRefused."""
    if settings.model_file is None:
        return NO_ANSWER_MODELS
    try:
        return answers_from(settings.model_file.read_bytes())
    except (OSError, InvalidInput) as error:
        raise StartRefused(f"MODEL_FILE {settings.model_file} cannot be used: {error}") from error


def forecast_model(settings: Settings) -> ForecastModel:
    """The forecast model of MODEL_FILE if it has one, else the shipped one. Raises StartRefused."""
    path = settings.model_file
    source = None if path is None else read_setting_file("MODEL_FILE", path)
    try:
        own = source and parameters_from(source)
        found = own or parameters_from(files("mastery_engine").joinpath(*SHIPPED_FORECAST).read_bytes())
    except InvalidInput as error:
        raise StartRefused(f"MODEL_FILE {settings.model_file} cannot be used: {error}") from error
    if found is None:
        raise StartRefused("The installed package lacks the parameters of the forecast: install it again.")
    return ForecastModel(found)


class ModelFileWatch:
    """Loads the models of skills and answers again when MODEL_FILE changes; a file that cannot be used changes
    nothing."""

    def __init__(self, settings: Settings, models: Models, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._settings = settings
        self._models = models
        self._look_every_s = look_every_s

    async def keep_watching(self) -> None:
        """Watch the file until cancelled; returns at once without MODEL_FILE."""
        path = self._settings.model_file
        changed: int | None = NEVER_LOOKED
        while path is not None:
            await asyncio.sleep(self._look_every_s)
            before, changed = changed, _changed(path)
            if changed == before:
                continue
            if changed is None:
                logger.warning("MODEL_FILE %s is missing: the model stays as it is, but the next start will fail", path)
                continue
            try:
                skills = await asyncio.to_thread(skill_model, self._settings)
                answers = await asyncio.to_thread(answer_models, self._settings)
            except StartRefused as refused:
                logger.warning("the changed model file is not used: %s", refused.message)
                continue
            if (skills, answers) != (self._models.skills, self._models.answers):
                self._models.take_up(skills, answers)
                since = rfc3339(skills.revisions[-1].since) if skills.revisions else None
                logger.info("loaded a changed model", extra={"version": skills.version, "newest_revision": since})


def _changed(path: Path | None) -> int | None:
    """When a file was last changed, in nanoseconds since 1970; None if it does not exist."""
    try:
        return None if path is None else path.stat().st_mtime_ns
    except OSError:
        return None
