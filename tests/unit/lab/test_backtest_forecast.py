"""The backtest of the forecast on a small simulated class, through its command; and what it must not do."""

import csv
import gzip
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from mastery_engine import cli
from mastery_engine.domain.events.event import encode
from mastery_engine.domain.forecast.forecast import Forecast, forecast
from mastery_engine.domain.forecast.model import ForecastModel, parameters_from
from mastery_engine.domain.moments import DAY, day_of, iso_date
from mastery_engine.domain.rules import Rules
from mastery_engine.errors import InvalidInput
from mastery_engine.lab.forecast import baselines
from mastery_engine.lab.forecast.backtest import chosen_models
from mastery_engine.lab.forecast.baselines import NAMES
from mastery_engine.lab.forecast.courses import RecordedLearner, calendar_from, learners, lines_of
from mastery_engine.lab.forecast.fit import cases_of
from mastery_engine.lab.forecast.origins import Origin, origins_of
from mastery_engine.lab.simulate.classes import past, pupils
from mastery_engine.model_files import forecast_model
from mastery_engine.settings import Settings
from tests.support.samples import NOW

QUANTILES = [f"q{level:02d}" for level in range(5, 100, 5)]
RULES = Rules()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class of 24 in 36 days, with work due every Wednesday."""
    made = tmp_path_factory.mktemp("class")
    events = past(pupils(24, 3), days=36, seed=3, until=NOW)
    with gzip.open(made / "events.jsonl.gz", "wb") as file:
        file.writelines(encode(event) + b"\n" for event in events)
    days = [iso_date(day) for day in range(day_of(NOW) - 36, day_of(NOW) + 1, 7)]
    (made / "due.csv").write_text("cohort_id,due\n" + "".join(f"py-101,{day}\n" for day in days))
    return made


@pytest.fixture(scope="module")
def result(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    words = ["--calendar", str(folder / "due.csv"), "--predictions", str(folder / "p.csv")]
    return run(folder, "--json", "--report", str(folder / "report.html"), *words)  # type: ignore[return-value]


def run(folder: Path, *words: str, exits: int = 0) -> object:
    done = CliRunner().invoke(cli.app, ["backtest", "forecast", str(folder / "events.jsonl.gz"), *words])
    assert done.exit_code == exits, done.output
    return json.loads(done.stdout) if "--json" in words else done.stdout


def test_all_models_are_scored_in_one_run(result: dict[str, dict[str, dict[str, float]]]) -> None:
    for part in ("mean", "work_due"):
        assert result[part].keys() == {"engine", "engine_without_calendar", *NAMES}
        for scores in result[part].values():
            assert scores.keys() == {"mae", "rmse", "crps", "coverage80", "width80"}
    assert result["nothing_due"] == {}, "every week has a Wednesday"


def test_the_figures_follow_from_the_predictions(folder: Path, result: dict[str, dict[str, dict[str, float]]]) -> None:
    """Worked out again from the CSV, row by row."""
    with (folder / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["student_id", "at", "now", "score", *QUANTILES]
    pinball, missed, inside = [], [], []
    for row in rows:
        score, quantiles = float(row["score"]), [float(row[name]) for name in QUANTILES]
        assert quantiles == sorted(quantiles)
        for level, quantile in zip(range(5, 100, 5), quantiles, strict=True):
            pinball.append(max(level / 100 * (score - quantile), (level / 100 - 1) * (score - quantile)))
        missed.append(abs(score - quantiles[9]))
        inside.append(quantiles[1] <= score <= quantiles[17])
    engine = result["mean"]["engine"]
    assert engine["crps"] == pytest.approx(2 * np.mean(pinball), abs=1e-5)
    assert engine["mae"] == pytest.approx(np.mean(missed), abs=1e-5)
    assert engine["coverage80"] == pytest.approx(np.mean(inside), abs=1e-2)
    assert {row["at"][10:] for row in rows} == {"T23:59:59Z"}


def test_what_was_served_is_told_by_course_and_by_week(result: dict[str, dict[str, dict[str, float]]]) -> None:
    assert list(result["courses"]) == ["py-101"]
    assert result["courses"]["py-101"].keys() == {"before", "calibrated"}
    assert isinstance(result["weeks"], dict)


def test_the_report_is_a_page_with_plots(folder: Path, result: object) -> None:
    page = (folder / "report.html").read_text()
    assert 7 <= page.count("<svg") <= 9
    assert "engine_without_calendar" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_some_models_alone(folder: Path) -> None:
    printed = run(folder, "--models", "persistence,aged,mean_change,drift")
    assert "| aged |" in str(printed)
    assert "engine" not in str(printed)
    run(folder, "--models", "persistence", "--report", str(folder / "no.html"), exits=2)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no model 'prophet'"):
        chosen_models(["prophet"], calendar=False)


def test_without_statsmodels_damped_holt_is_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "statsmodels", None)
    names, left_out = chosen_models([], calendar=False)
    assert ("holt" in names, left_out) == (False, ["holt"])
    with pytest.raises(InvalidInput, match="lab"):
        chosen_models(["holt"], calendar=False)


def forecasts_from(origins: list[Origin], model: ForecastModel) -> list[Forecast]:
    return [forecast(one.student, RULES.end_of(one.day), 7, model, RULES, one.due_days) for one in origins]


def test_the_future_changes_no_past_forecast(folder: Path) -> None:
    """What a student does later, turned upside down, leaves every earlier forecast as it was."""
    model = forecast_model(Settings())
    known = learners(lines_of(folder / "events.jsonl.gz"), calendar_from(folder / "due.csv"), RULES)
    learner = max(known, key=lambda learner: len(learner.events))
    cut = RULES.end_of(learner.first + 21)
    shuffled = [event for event in learner.events if event.at > cut][::3]
    other = RecordedLearner(
        learner.student_id, (*[e for e in learner.events if e.at <= cut], *shuffled), learner.calendars
    )
    forecasts = []
    for recorded in (learner, other):
        origins = [o for o in origins_of(recorded, RULES, calendar=True, documents=True) if RULES.end_of(o.day) <= cut]
        forecasts.append(forecasts_from(origins, model))
    assert len(forecasts[0]) == 2
    assert forecasts[0] == forecasts[1]


def test_a_course_joined_later_changes_no_earlier_forecast(folder: Path) -> None:
    """Neither what is forecast nor what is fitted knows the calendar of a cohort before an event names it."""
    model = forecast_model(Settings())
    lines = list(lines_of(folder / "events.jsonl.gz"))
    calendar = calendar_from(folder / "due.csv")
    calendar["py-102"] = tuple(range(calendar["py-101"][0] + 1, calendar["py-101"][-1], 2))
    known = learners(lines, calendar, RULES)
    learner = max(known, key=lambda learner: len(learner.events))
    cut = RULES.end_of(learner.first + 21)
    place = next(place for place, event in enumerate(learner.events) if event.at > cut)
    moved = msgspec.structs.replace(learner.events[place], metadata={"cohort_id": "py-102"})
    events = (*learner.events[:place], moved, *learner.events[place + 1 :])
    joined = learners([(n, encode(event)) for n, event in enumerate(events, 1)], calendar, RULES)[0]
    assert joined.due_known(learner.last) != learner.due_known(learner.last)

    def known_of(learner: RecordedLearner) -> list[object]:
        origins = [o for o in origins_of(learner, RULES, calendar=True, documents=True) if RULES.end_of(o.day) <= cut]
        cases = [case for case in cases_of(learner, RULES) if case.days == 7][: len(origins)]
        due = [(o.due, o.due_days) for o in origins]
        return [
            due,
            [case.coming for case in cases],
            forecasts_from(origins, model),
        ]

    assert len(known_of(learner)[0]) == 2  # type: ignore[arg-type]
    assert known_of(joined) == known_of(learner)


def test_origins_are_those_of_the_protocol(folder: Path) -> None:
    learner = learners(lines_of(folder / "events.jsonl.gz"), {}, RULES)[0]
    origins = list(origins_of(learner, RULES, calendar=False, documents=False))
    assert [o.day - learner.first for o in origins] == [14, 21, 28, 35][: len(origins)]
    assert all(RULES.end_of(o.day) + 7 * DAY <= learner.last for o in origins)
    assert [o.weekly[-1] for o in origins] == [o.now for o in origins]
    assert learner.calendars == ()


def test_a_fitted_file_is_one_that_the_service_takes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = folder / "model.msgpack"
    words = ["fit", "forecast", str(folder / "events.jsonl.gz"), "--out", str(out), "--json"]
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["with_calendar"] is False
    parameters = parameters_from(out.read_bytes())
    assert parameters is not None
    assert ForecastModel(parameters).with_calendar is None
    assert forecast_model(Settings(model_file=out)).with_calendar is None


def test_too_little_to_fit_or_to_test(tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_bytes(b"".join(encode(event) + b"\n" for event in past(pupils(2, 1), days=10, seed=1, until=NOW)))
    for words in (["fit", "forecast"], ["backtest", "forecast"]):
        done = CliRunner().invoke(cli.app, [*words, str(few)])
        assert isinstance(done.exception, InvalidInput)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cohort,due\na,2026-01-01\n", "no columns"),
        (b"cohort_id,due\na,tomorrow\n", "line 2: due"),
        (b"cohort_id,due\na,2026-01-01\na\n", "line 3: due"),
        (b"due,cohort_id\n2026-01-01\n", "line 2: cohort_id is empty"),
        (b"cohort_id,due\na,2026-01-01\n\xe9t\xe9,2026-01-01\n", "line 3: this is no UTF-8"),
        (b"cohort_id,due\na," + b"1" * 200_000, "cannot be read as CSV after line 1"),
    ],
)
def test_a_calendar_that_is_none_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "due.csv").write_bytes(content)
    with pytest.raises(InvalidInput, match=f"due.csv.* {message}"):
        calendar_from(tmp_path / "due.csv")


def test_a_mark_of_utf_8_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "due.csv").write_text("cohort_id,due\na,1970-01-02\n", "utf-8-sig")
    assert calendar_from(tmp_path / "due.csv") == {"a": (1,)}
    (tmp_path / "some.jsonl").write_text("{}\n{}\n", "utf-8-sig")
    assert list(lines_of(tmp_path / "some.jsonl")) == [(1, b"{}\n"), (2, b"{}\n")]


def test_a_packed_file_that_is_cut_short_or_damaged_is_told_so(tmp_path: Path) -> None:
    path, packed = tmp_path / "some.jsonl.gz", gzip.compress(b"{}\n" * 9)
    for content, message in (
        (packed[:-9], "cut short"),
        (packed[:-8] + b"\0" * 8, "damaged"),
        (packed[:10] + b"\xff" * 9, "damaged"),
    ):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=f"some.jsonl.gz is {message} after line"):
            list(lines_of(path))


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("\n{}\n")
    with pytest.raises(InvalidInput, match="Line 2"):
        learners(lines_of(tmp_path / "bad.jsonl"), {}, RULES)


def test_baselines_are_what_their_names_say() -> None:
    rising = Origin("a", 30, 0.5, 0.6, 0.4, (0.2, 0.3, 0.4, 0.5), False, ())
    assert baselines.persistence(rising) == 0.5
    assert baselines.aged(rising) == 0.4
    assert baselines.drift(rising) == pytest.approx(0.6)
    assert baselines.linear(rising) == pytest.approx(0.6)
    holt = baselines.DampedHolt([rising])
    assert 0.5 < holt(rising) < 0.6
    assert holt(Origin("a", 30, 0.5, 0.5, 0.5, (0.5, 0.5), False, ())) == 0.5
