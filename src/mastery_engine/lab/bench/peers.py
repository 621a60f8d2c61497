"""What a user would run instead for one student: pyBKT for what she knows, a regression for what she will score."""

import os
import subprocess  # nosec B404
from collections.abc import Callable
from statistics import median
from time import perf_counter

import msgspec

from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.forecast.forecast import forecast
from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.knowledge import NO_KNOWLEDGE, estimate, with_answer
from mastery_engine.domain.skills.model import DEFAULT_SKILLS
from mastery_engine.lab.bench.measures import Line, judged, ratios, shown
from mastery_engine.lab.bench.peer_environments import ROOT, python_with
from mastery_engine.lab.bench.term import grown
from mastery_engine.model_files import forecast_model
from mastery_engine.settings import settings_from

BKT = "1.4.3"
REQUIREMENTS = (f"pybkt=={BKT}", "scikit-learn==1.5.2", "numpy==2.0.2", "pandas==2.2.3")  # the newest that it runs with
REPEATS = 200


class PeerTimes(msgspec.Struct, frozen=True):
    """Milliseconds: pyBKT's roster after one answer, its fit of one student anew, the regression's seven days."""

    update: float
    refit: float
    regression: float


def peers(runs: int, until: Micros, events: int) -> list[Line]:
    """One answer, and one forecast of seven days, by the engine's functions and by each peer, in turns."""
    del events
    python = python_with("pybkt", *REQUIREMENTS)
    answers, forecasts, measured = [], [], []
    for _ in range(runs):
        answers.append(_answer_ms(until))
        forecasts.append(_forecast_ms(until))
        measured.append(_peers(str(python)))
    updates, refits, regressions = ([getattr(run, name) for run in measured] for name in PeerTimes.__struct_fields__)
    return [
        shown("peers", "a skill after one answer: trace and estimate", "ms", answers),
        shown("peers", f"the same by pyBKT {BKT}: its roster", "ms", updates),
        shown("peers", f"the same by pyBKT {BKT}: fitted anew from 20 answers", "ms", refits),
        judged("peers", "times as fast as pyBKT's roster", "", ratios(updates, answers), "to pyBKT"),
        shown("peers", "seven days ahead, with intervals", "ms", forecasts),
        shown("peers", "the same by a line through 30 days (scikit-learn), without", "ms", regressions),
    ]


def _timed_ms(call: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        started = perf_counter()
        call()
        times.append((perf_counter() - started) * 1e3)
    return median(times)


def _answer_ms(until: Micros) -> float:
    knowledge = NO_KNOWLEDGE
    for number in range(20):
        knowledge = with_answer(
            knowledge, Answer(f"i{number}", ("loops",), number % 3 > 0), until - DAY, DEFAULT_SKILLS
        )
    answer = Answer("i21", ("loops",), True)

    def update() -> None:
        estimate(with_answer(knowledge, answer, until, DEFAULT_SKILLS), "loops", until, DEFAULT_SKILLS)

    return _timed_ms(update)


def _forecast_ms(until: Micros) -> float:
    (student, _), *_ = grown(until).values()
    model = forecast_model(settings_from(os.environ))
    rules = Rules()
    return _timed_ms(lambda: forecast(student, until, 7, model, rules))


def _peers(python: str) -> PeerTimes:
    script = ROOT / "scripts" / "peers" / "one_student.py"
    done = subprocess.run([python, str(script)], capture_output=True, check=True)  # nosec B603
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=PeerTimes)
