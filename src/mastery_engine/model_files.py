"""The models from MODEL_FILE, or the shipped ones; those of skills and answers are loaded again when it changes."""

import asyncio
import logging
from functools import cache
from importlib.resources import files
from pathlib import Path

from mastery_engine.domain.forecast.model import ForecastModel, parameters_from
from mastery_engine.domain.model_file import answers_from, skills_from
from mastery_engine.domain.moments import rfc3339
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.skills.next_answer.parameters import NO_ANSWER_MODELS, AnswerModels
from mastery_engine.errors import InvalidInput, StartRefused
from mastery_engine.ports.backend import Danger
from mastery_engine.services.models import Models
from mastery_engine.setting_files import is_missing, read_setting_file
from mastery_engine.settings import Settings

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 30.0
NEVER_LOOKED = 0
SHIPPED_FORECAST = ("parameters", "forecast.msgpack")


NOT_THERE_YET = (
    "MODEL_FILE names a file that is not there: the shipped models are used until it is. What mastery-engine fit "
    "writes to it is taken up within a minute, a forecast at the next start."
)
GONE = "The file that MODEL_FILE names is gone: its models are used on, and after the next start the shipped ones."
NOT_USED = "MODEL_FILE has changed and is not used, as the log says: the models stay as they were."


def skill_model(settings: Settings) -> SkillModel:
    """The skill model of MODEL_FILE, or the default one. Raises StartRefused."""
    source = _source(settings)
    try:
        return (source and skills_from(source)) or DEFAULT_SKILLS
    except InvalidInput as error:
        raise _unusable(settings, error) from error


def answer_models(settings: Settings) -> AnswerModels:
    """The models of the next answer in MODEL_FILE, or none that was fitted. Raises StartRefused."""
    source = _source(settings)
    try:
        return NO_ANSWER_MODELS if source is None else answers_from(source)
    except InvalidInput as error:
        raise _unusable(settings, error) from error


def forecast_model(settings: Settings) -> ForecastModel:
    """The forecast model of MODEL_FILE if it has one, else the shipped one. Raises StartRefused."""
    source = _source(settings)
    try:
        own = source and parameters_from(source)
        return ForecastModel(own) if own else shipped_forecast()
    except InvalidInput as error:
        raise _unusable(settings, error) from error


@cache
def shipped_forecast() -> ForecastModel:
    """The forecast model that comes with the package. Raises StartRefused."""
    found = parameters_from(files("mastery_engine").joinpath(*SHIPPED_FORECAST).read_bytes())
    if found is None:
        raise StartRefused("The installed package lacks the parameters of the forecast: install it again.")
    return ForecastModel(found)


def lacks_model_file(settings: Settings) -> bool:
    """Whether MODEL_FILE names a file that is not there, since none was fitted yet: that stops no start."""
    return settings.model_file is not None and is_missing(settings.model_file)


def _source(settings: Settings) -> bytes | None:
    """The content of MODEL_FILE; None without one. Raises StartRefused if it is there and cannot be read."""
    path = settings.model_file
    return None if path is None or is_missing(path) else read_setting_file("MODEL_FILE", path)


def _unusable(settings: Settings, error: InvalidInput) -> StartRefused:
    return StartRefused(f"MODEL_FILE {settings.model_file} cannot be used: {error}")


class ModelFileWatch:
    """Loads the models of skills and answers when MODEL_FILE appears or changes.

    A file that cannot be used changes nothing. Readiness asks it as it asks servers: a service without its file is
    ready, with a warning.
    """

    def __init__(self, settings: Settings, models: Models, *, look_every_s: float | None = None) -> None:
        self._settings = settings
        self._models = models
        self._look_every_s = LOOK_EVERY_S if look_every_s is None else look_every_s
        self._was_there = not lacks_model_file(settings)
        self._is_refused = False

    @property
    def is_named(self) -> bool:
        """Whether MODEL_FILE names a file."""
        return self._settings.model_file is not None

    async def ping(self) -> None:
        """Models are always there, from the file or the shipped ones."""

    async def dangers(self) -> list[Danger]:
        """What is wrong with the file now, which stops no start."""
        if lacks_model_file(self._settings):
            return [Danger(GONE if self._was_there else NOT_THERE_YET, is_certain=False)]
        return [Danger(NOT_USED, is_certain=False)] if self._is_refused else []

    async def close(self) -> None:
        """Nothing is held open."""

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
                logger.warning("MODEL_FILE %s is missing: the models stay as they are until it is there", path)
                continue
            try:
                skills = await asyncio.to_thread(skill_model, self._settings)
                answers = await asyncio.to_thread(answer_models, self._settings)
            except StartRefused as refused:
                self._is_refused = True
                logger.warning("the changed model file is not used: %s", refused.message)
                continue
            self._was_there, self._is_refused = True, False
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
