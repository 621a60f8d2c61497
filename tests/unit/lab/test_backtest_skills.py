"""The next answer: the engine's model, its baselines, the protocol and its commands, on simulated classes."""

import csv
import gzip
import json
import sys
from collections import Counter
from collections.abc import Sequence
from io import StringIO
from itertools import product
from math import exp, log
from pathlib import Path
from random import Random
from statistics import mean

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mastery_engine import cli
from mastery_engine.domain.skills.next_answer.features import FEATURES, SIGNS
from mastery_engine.domain.skills.next_answer.head import Head, logged
from mastery_engine.domain.skills.next_answer.model import ItemAsked, chances
from mastery_engine.errors import InvalidInput, StartRefused
from mastery_engine.lab.skills.accuracy import accuracy, auc, mean_of
from mastery_engine.lab.skills.answer_files import COLUMNS, AnswerRow, read_answers, split
from mastery_engine.lab.skills.answer_models import ENGINE, MODELS, FittedModel, NextAnswerModel
from mastery_engine.lab.skills.backtest import backtest, first_of
from mastery_engine.lab.skills.bkt import GRID, Bkt, likeliest
from mastery_engine.lab.skills.extras import TAKEN
from mastery_engine.lab.skills.fit import fit_skills
from mastery_engine.lab.skills.logistic import Design
from mastery_engine.lab.skills.next_answer.training import train
from mastery_engine.model_files import answer_models, skill_model
from mastery_engine.settings import settings_from
from tests.support.processes import ROOT

SHARED = ROOT.parent / "shared" / "data"
TESTED = 40


def classroom(students: int, seed: int, answers: int = 60) -> list[list[AnswerRow]]:
    """Problems with scaffolds: who fails a problem gets its two scaffolds, the second of which goes as the first did,
    and then the same problem again; who has had the scaffolds right mostly gets it right."""
    chance, number, classmates = Random(seed), 0, []
    for _ in range(students):
        ability, rows, at = chance.gauss(0.0, 0.8), [], 1_700_000_000.0
        queue: list[tuple[str, tuple[str, ...], float | None]] = []
        while len(rows) < answers:
            problem = chance.randrange(12)
            item, skills, sure = queue.pop(0) if queue else (f"p{problem}", (f"s{problem % 4}", "all"), None)
            level = ability + (problem % 3 - 1.0) if sure is None else sure
            right = int(chance.random() < 1.0 / (1.0 + exp(-level)))
            at += chance.choice((20.0, 60.0, 90_000.0))
            rows.append(AnswerRow(number, item, skills, right, at))
            number += 1
            if not queue and sure is None and not right:
                first = chance.random() < 0.5
                queue = [(f"{item}-a", skills[:1], 3.0 if first else -3.0)]
            elif item.endswith("-a"):
                queue = [(f"{item[:-2]}-b", skills, 2.5 if right else -2.5)]
        classmates.append(rows)
    return classmates


def write(path: Path, students: Sequence[Sequence[AnswerRow]]) -> Path:
    """The students as a file, zipped where its name says so."""
    lines = StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(COLUMNS)
    for number, rows in enumerate(students):
        writer.writerows([f"u{number}", row.item_id, "~".join(row.skills), row.right, row.at] for row in rows)
    text = lines.getvalue().encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("answers") / "answers.csv.gz", classroom(60, 1))


@pytest.fixture(scope="module")
def fitted() -> NextAnswerModel:
    model = NextAnswerModel()
    model.fit(classroom(120, 2))
    return model


def run(*words: str, exits: int = 0) -> str:
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == exits, (result.output, result.exception)
    return result.output


def area(model: FittedModel, students: Sequence[Sequence[AnswerRow]]) -> float:
    predicted = np.array([chance for rows in students for chance in model.predict(rows)])
    measured = auc(np.array([float(row.right) for rows in students for row in rows]), predicted)
    assert measured is not None
    return measured


def test_what_came_just_before_is_made_use_of(fitted: NextAnswerModel) -> None:
    unseen = classroom(40, 3)
    regression = MODELS["best_lr"]()
    regression.fit(classroom(120, 2))
    assert area(fitted, unseen) > area(regression, unseen) + 0.02


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", MODELS)
def test_nothing_looks_ahead(name: str, fitted: NextAnswerModel) -> None:
    model: FittedModel = fitted
    if name in TAKEN and not TAKEN[name].usable():
        pytest.skip(f"NOT TESTED: {name}, which takes {TAKEN[name].brings}: {TAKEN[name].install}")
    if name != ENGINE:
        model = MODELS[name]()
        model.fit(classroom(12, 4, 30))
    rows = classroom(1, 5)[0]
    half = len(rows) // 2
    future = [
        AnswerRow(row.number, row.item_id, row.skills, 1 - row.right, 2 * row.at - rows[half].at) for row in rows[half:]
    ]
    Random(6).shuffle(future)
    before = model.predict(rows)
    assert model.predict([*rows[:half], *future])[:half] == before[:half]
    assert model.predict(rows[:half]) == pytest.approx(before[:half], abs=1e-6)
    assert all(0.0 <= chance <= 1.0 for chance in before)


def test_an_answer_is_predicted_before_it_is_seen(fitted: NextAnswerModel) -> None:
    rows = classroom(1, 7)[0]
    last = rows[-1]
    other = AnswerRow(last.number, last.item_id, last.skills, 1 - last.right, last.at)
    assert fitted.predict(rows)[-1] == fitted.predict([*rows[:-1], other])[-1]


def test_times_out_of_order_are_borne(fitted: NextAnswerModel) -> None:
    rows = classroom(1, 8)[0]
    shuffled = [
        AnswerRow(row.number, row.item_id, row.skills, row.right, other.at)
        for row, other in zip(rows, rows[::-1], strict=False)
    ]
    assert all(0.0 < chance < 1.0 for chance in fitted.predict(shuffled))


def test_items_and_skills_never_seen_get_the_priors(fitted: NextAnswerModel) -> None:
    rows = [AnswerRow(place, f"new{place}", ("new",), 1, 60.0 * place) for place in range(20)]
    predicted = fitted.predict(rows)
    assert all(0.0 < chance < 1.0 for chance in predicted)
    wrong = [AnswerRow(row.number, row.item_id, row.skills, 0, row.at) for row in rows]
    assert predicted[-1] > fitted.predict(wrong)[-1]


@given(st.integers(0, 10_000), st.floats(0.1, 50.0))
@settings(max_examples=60, deadline=None)
def test_the_head_moves_only_the_way_of_a_sign(seed: int, more: float) -> None:
    chance = np.random.default_rng(seed)
    features = list(chance.exponential(2.0, len(FEATURES)))
    place = int(chance.choice(np.flatnonzero(SIGNS)))
    raised = [value + more * (number == place) for number, value in enumerate(features)]
    before, after = HEAD.logits(logged(np.array([features, raised], np.float32)))
    assert (after - before) * SIGNS[place] >= -1e-4


def _head() -> Head:
    """A head on noise, with signs that the noise contradicts."""
    chance = np.random.default_rng(0)
    rows = chance.exponential(2.0, (4_000, len(FEATURES))).astype(np.float32)
    pull = rows @ -SIGNS.astype(np.float32)
    right = (pull - pull.mean() > chance.normal(0.0, 4.0, len(rows))).astype(np.float32)
    return Head(train(logged(rows), right))


HEAD = _head()


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_a_head_on_answers_that_are_all_alike_is_not_certain(right: float) -> None:
    rows = np.random.default_rng(0).exponential(1.0, (50, len(FEATURES))).astype(np.float32)
    (logit,) = Head(train(rows, np.full(50, right, np.float32))).logits(np.zeros((1, len(FEATURES)), np.float32))
    assert 0.0 < 1 / (1 + exp(-logit)) < 1.0


def test_auc_counts_pairs() -> None:
    chance = Random(1)
    right = [float(chance.random() < 0.4) for _ in range(80)]
    predicted = [round(chance.random(), 1) for _ in right]
    pairs = [(a, b) for (a, x), (b, y) in product(zip(predicted, right, strict=False), repeat=2) if x > y]
    counted = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)
    assert auc(np.array(right), np.array(predicted)) == pytest.approx(counted)
    assert auc(np.ones(3), np.ones(3)) is None


def test_accuracy_by_hand() -> None:
    unsure = accuracy(np.array([1.0, 0.0, 1.0]), np.array([0.81, 0.83, 0.2]), fit_s=1.0, us_per_answer=2.0)
    assert unsure.auc == 0.0
    assert unsure.log_loss == pytest.approx(-(log(0.81) + log(0.17) + log(0.2)) / 3)
    assert unsure.brier == pytest.approx((0.19**2 + 0.83**2 + 0.8**2) / 3)
    assert unsure.ece == pytest.approx((abs(1.0 - 1.64) + 0.8) / 3)
    sure = accuracy(np.ones(2), np.ones(2), fit_s=3.0, us_per_answer=2.0)
    both = mean_of([unsure, sure])
    assert (both.auc, both.fit_s, both.us_per_answer) == (0.0, 2.0, 2.0)
    assert mean_of([sure]).auc is None


def test_the_regression_is_converged() -> None:
    chance = np.random.default_rng(3)
    terms = chance.normal(size=(400, 3))
    right = (terms @ [1.0, -2.0, 0.0] + 0.5 > chance.logistic(size=400)).astype(float)
    design = Design()
    for row in terms:
        design.add([(("term", str(place)), value) for place, value in enumerate(row)])
    regression = design.fit(right)
    weights = np.zeros(4)
    rows, ridge = np.column_stack([terms, np.ones(400)]), np.diag([1.0, 1.0, 1.0, 0.0])
    for _ in range(30):  # Newton's method
        shares = 1.0 / (1.0 + np.exp(-rows @ weights))
        bend = rows.T @ (rows * (shares * (1.0 - shares))[:, None]) + ridge
        weights -= np.linalg.solve(bend, rows.T @ (shares - right) + ridge @ weights)
    assert [regression.weights["term", str(place)] for place in range(3)] == pytest.approx(weights[:3], abs=2e-3)
    assert regression.intercept == pytest.approx(weights[3], abs=2e-3)


def test_the_likeliest_tracing_of_skills_is_found() -> None:
    runs = [[0, 0, 1, 1], [0, 1, 1], [1], [0, 0, 0, 1, 1]]

    def likelihood(start: float, learns: float, guess: float, slip: float) -> float:
        """Over all the moments at which each student may have learned."""
        total = 0.0
        for run in runs:
            summed = 0.0
            for learned in range(len(run) + 1):
                shares = [start] if learned == 0 else [1.0 - start, *[1.0 - learns] * (learned - 1)]
                if 0 < learned < len(run):
                    shares.append(learns)
                chances = [1.0 - slip if place >= learned else guess for place in range(len(run))]
                seen = [chance if right else 1.0 - chance for chance, right in zip(chances, run, strict=False)]
                summed += float(np.prod(shares) * np.prod(seen))
            total += log(summed)
        return total

    best = max(likelihood(*point) for point in GRID.T.tolist())
    assert likelihood(*likeliest(runs)) == pytest.approx(best)


def test_tracing_of_skills_stays_a_probability_where_rounding_errors_grow() -> None:
    """Near certainty each wrong answer multiplies an error of rounding by some ten."""

    def rows(rights: list[int]) -> list[AnswerRow]:
        return [AnswerRow(place, "i", ("s",), right, float(place)) for place, right in enumerate(rights)]

    forgot = [1] * 25 + [0] * 25
    with np.errstate(all="raise"):
        likeliest([forgot])
    model = Bkt()
    knows, guesses = [int(place % 12 != 5) for place in range(48)], [int(place % 20 == 7) for place in range(48)]
    model.fit([rows(knows), *[rows(guesses)] * 9])
    assert all(0.0 < chance < 1.0 for chance in model.predict(rows(forgot)))


@pytest.mark.timeout(600)
def test_one_command_runs_the_protocol(answers: Path, tmp_path: Path) -> None:
    predictions, report = tmp_path / "p.csv", tmp_path / "r.html"
    words = ["backtest", "skills", str(answers), "--splits", "2", "--predictions", str(predictions)]
    shown = json.loads(run(*words, "--report", str(report), "--json"))
    assert [shown_split["seed"] for shown_split in shown["splits"]] == [0, 1]
    figures = {"auc", "log_loss", "brier", "ece", "fit_s", "us_per_answer"}
    assert all(set(model) == figures for model in [*shown["mean"].values(), *shown["splits"][0]["models"].values()])
    run_here = [name for name in MODELS if name not in TAKEN or TAKEN[name].usable()]
    assert list(shown["mean"]) == run_here
    assert shown.get("left_out", []) == [name for name in MODELS if name not in run_here]
    assert shown["mean"][ENGINE]["auc"] > max(shown["mean"][name]["auc"] for name in ("pfa", "bkt"))
    students = read_answers(answers)
    with predictions.open() as file:
        predicted = [(int(row["split"]), int(row["row"]), float(row["p"])) for row in csv.DictReader(file)]
    for seed in (0, 1):
        rows = sorted(row.number for student_id in split(students, seed)[1] for row in students[student_id])
        assert [row for of_split, row, _ in predicted if of_split == seed] == rows
    right = {row.number: row.right for rows in students.values() for row in rows}
    brier = [mean((p - right[row]) ** 2 for of_split, row, p in predicted if of_split == seed) for seed in (0, 1)]
    shown_brier = [shown_split["models"][ENGINE]["brier"] for shown_split in shown["splits"]]
    assert brier == pytest.approx(shown_brier, abs=1e-5)
    drawn = report.read_text()
    assert drawn.count("<svg") == 2
    assert all(name in drawn for name in run_here)


def test_only_the_models_that_were_asked_for(answers: Path) -> None:
    words = ("backtest", "skills", str(answers), "--splits", "1", "--models", "elo, irt")
    table = run(*words)
    assert "| elo |" in table
    assert "| irt |" in table
    assert ENGINE not in table
    assert "add it to --models" in run(*words, "--predictions", "p.csv", exits=2).replace("\n", " ")
    with pytest.raises(InvalidInput, match="no model 'oracle'"):
        backtest(answers, print, models=["oracle"])


def test_models_whose_extras_are_missing_are_left_out_and_who_names_one_is_told_what_it_takes(
    answers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in {module for extra in TAKEN.values() for module in extra.modules}:
        monkeypatch.setitem(sys.modules, module, None)
    words = ("backtest", "skills", str(answers), "--splits", "1")
    shown = json.loads(run(*words, "--json"))
    optional = ["best_lr", "pfa", "pybkt", "dkt"]
    assert list(shown["mean"]) == [name for name in MODELS if name not in optional]
    assert shown["left_out"] == optional
    table = run(*words)
    assert "left out: best_lr, pfa, for want of SciPy (pip install 'mastery-engine[lab]')" in table
    assert "left out: pybkt, for want of pyBKT (pip install 'mastery-engine[bkt]')" in table
    assert "left out: dkt, for want of JAX and Optax (pip install 'mastery-engine[deep]')" in table
    assert "left out" not in run(*words, "--models", "elo,irt")
    with pytest.raises(InvalidInput, match=r"pfa takes SciPy: pip install 'mastery-engine\[lab\]', or leave pfa out"):
        backtest(answers, print, models=["elo", "pfa"])
    with pytest.raises(InvalidInput, match=r"dkt takes JAX and Optax: .*\[deep\]', or leave dkt out"):
        backtest(answers, print, models=["elo", "dkt"])


def test_what_is_measured_is_what_is_served(tmp_path: Path) -> None:
    """Through the service's own fold and predictions, with pauses after which what is old is forgotten."""
    chance = Random(9)
    students = []
    for rows in classroom(40, 9, 80):
        shifts = [chance.choice((0.0, 0.0, 0.0, 8 * 86_400.0, 95 * 86_400.0)) for _ in rows]
        students.append(
            [
                AnswerRow(row.number, row.item_id, row.skills, row.right, row.at + sum(shifts[: place + 1]))
                for place, row in enumerate(rows)
            ]
        )
    measured = backtest(write(tmp_path / "a.csv", students), lambda _: None, models=["engine", "served"], splits=2)
    for tested in measured.tested:
        assert np.abs(tested.predicted["engine"] - tested.predicted["served"]).max() < 1e-6
    alone = backtest(tmp_path / "a.csv", lambda _: None, models=["served"], splits=1)
    assert alone.result.splits[0].models["served"].auc == measured.result.splits[0].models["served"].auc


@pytest.mark.parametrize("answers", [500, 1_000, 2_000, 5_000])
def test_with_little_data_it_is_no_worse_than_plain_models(answers: int, tmp_path: Path) -> None:
    """A class of whom nothing but levels tells: there is nothing for a network to find, and it finds nothing."""
    path = write(tmp_path / "plain.csv", plain_class(500, 11))
    no_worse_than_plain_models(path, answers, calibrated=0.03)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared learner data is not here")
@pytest.mark.parametrize("answers", [500, 2_000])
@pytest.mark.parametrize("name", ["assist09", "assist17_ts"])
def test_nor_is_it_on_real_learners(name: str, answers: int, tmp_path: Path) -> None:
    real = list(read_answers(SHARED / f"{name}.csv.gz").values())
    path = write(tmp_path / "some.csv", [rows[:100] for rows in real[:: len(real) // 300]])
    no_worse_than_plain_models(path, answers, calibrated=0.04)  # of some 4,000 answers, few in a bin


def no_worse_than_plain_models(path: Path, answers: int, *, calibrated: float) -> None:
    names = [ENGINE, "best_lr", "tracing"]
    figures = backtest(path, lambda _: None, models=names, splits=2, first=answers).result.mean
    areas = {name: figures[name].auc or 0.0 for name in names}
    assert areas[ENGINE] > max(areas.values()) - 0.005
    assert figures[ENGINE].ece < calibrated
    assert figures[ENGINE].log_loss < min(figures[name].log_loss for name in names) + 0.004


def plain_class(students: int, seed: int) -> list[list[AnswerRow]]:
    """Abilities, difficulties, and skills that are learned with each try: logistic, with nothing beside."""
    chance, number, classmates = Random(seed), 0, []
    hard = [chance.gauss(0.0, 1.0) for _ in range(60)]
    for _ in range(students):
        general, rows = chance.gauss(0.5, 0.8), []
        own = [chance.gauss(-0.3, 0.6) for _ in range(6)]
        for place in range(40):
            item = chance.randrange(60)
            level = general + own[item % 6] - hard[item]
            own[item % 6] += 0.12
            right = int(chance.random() < 1.0 / (1.0 + exp(-level)))
            rows.append(AnswerRow(number, f"i{item}", (f"s{item % 6}",), right, 60.0 * place))
            number += 1
        classmates.append(rows)
    return classmates


def test_the_first_answers_are_those_of_the_first_students(answers: Path) -> None:
    students = list(read_answers(answers).values())
    for wanted in (20, 60, 61, 150):
        chosen = first_of(students, wanted)
        assert sum(map(len, chosen)) == wanted
        assert [rows[0] for rows in chosen] == [rows[0] for rows in students[: len(chosen)]]
    assert first_of(students, 10**6) == students
    figures = backtest(answers, lambda _: None, models=["elo"], splits=1).result.mean["elo"]
    assert backtest(answers, lambda _: None, models=["elo"], splits=1, first=100).result.mean["elo"].auc != figures.auc
    assert "| elo |" in run("backtest", "skills", str(answers), "--splits", "1", "--models", "elo", "--first", "100")


def test_the_split_is_stable_and_whole(answers: Path) -> None:
    students = read_answers(answers)
    fitted_on, tested = split(students, 3)
    assert sorted([*fitted_on, *tested]) == sorted(students)
    assert split(dict(reversed(students.items())), 3) == (fitted_on, list(reversed(tested)))
    sizes = Counter(len(split([f"s{number}" for number in range(500)], seed)[1]) // 50 for seed in range(5))
    assert set(sizes) <= {1, 2}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["student_id,item_id,skill_id,correct"], "no column timestamp"),
        ([",".join(COLUMNS), "a,i,s,1,", "a,i,s,2,"], "Line 3"),
        ([",".join(COLUMNS), "a,i,~,1,"], "Line 2"),
        ([",".join(COLUMNS), "a,i,s,1,noon"], "Line 2"),
        ([",".join(COLUMNS), "a,i,s,1,nan"], "Line 2"),
        ([",".join(COLUMNS), "a,i,s,1,1e300"], "Line 2"),
        ([",".join(COLUMNS), "a,i,s"], "Line 2"),
        ([",".join(COLUMNS), "", "", "a,i,s,2,"], "Line 4"),
        ([",".join(COLUMNS), ",i,s,1,"], "Line 2"),
        ([",".join(COLUMNS), "a, ,s,1,"], "Line 2"),
        ([",".join(COLUMNS), "a,i,s,1,"], "too few students, 1: fitting needs 5 or more"),
        ([",".join(COLUMNS), *[f"{name},i,s,1," for name in "bdfghi"]], "too few to split"),
    ],
)
def test_a_bad_file_is_told_what_is_wrong(lines: list[str], message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InvalidInput, match=message):
        backtest(path, print, models=["elo"], splits=40)


@pytest.mark.parametrize(
    "content",
    [b"\x00\xff", gzip.compress(b"a" * 99, mtime=0)[:-9], gzip.compress(b"", mtime=0)[:10] + b"\xff" * 9],
    ids=["bytes", "cut short", "damaged"],
)
def test_what_is_no_text_is_no_file_of_answers(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv.gz"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_answers(path)


@pytest.mark.parametrize(("name", "packed"), [("a.csv", True), ("a.csv.gz", False), ("a.csv.gz", True)])
def test_the_content_says_whether_a_file_is_packed_and_a_mark_of_utf_8_is_no_text(
    name: str, packed: bool, tmp_path: Path
) -> None:
    content = "\n".join([",".join(COLUMNS), *[f"{name},i,s,1," for name in "abcd"], "", "e,i,s,1,"]).encode("utf-8-sig")
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    students = read_answers(tmp_path / name)
    assert [row.number for rows in students.values() for row in rows] == [0, 1, 2, 3, 5], "lines of the file's data"


def test_what_fit_writes_the_service_loads(answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.msgpack"
    shown = json.loads(run("fit", "skills", str(answers), "--out", str(out), "--json"))
    loaded = skill_model(settings_from({}, model_file=out, data_dir=tmp_path))
    expected = fit_skills(list(read_answers(answers).values()))
    assert (loaded.skills, loaded.items) == (expected.skills, expected.items)
    assert (shown["skills"], shown["items"], shown["version"]) == (5, 36, loaded.version)
    assert loaded.items["p0"] > loaded.items["p2"], "problems whose number leaves more over at 3 are easier"
    assert "5 skills, 36 items" in run("fit", "skills", str(answers), "--out", str(out))


def test_fit_answers_refuses_a_course_of_no_tenant(answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.msgpack"
    said = run("fit", "answers", str(answers), "--out", str(out), "--course", "python", exits=2)
    assert "--course needs --tenant" in said
    assert not out.exists()


def test_what_fit_answers_writes_the_service_loads(answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.msgpack"
    run("fit", "skills", str(answers), "--out", str(out))
    shown = json.loads(run("fit", "answers", str(answers), "--out", str(out), "--json"))
    assert (shown["answers"], shown["items"], shown["skills"]) == (3_600, 36, 5)
    assert "36 items, 5 skills" in run("fit", "answers", str(answers), "--out", str(out), "--tenant", "school")
    settings = settings_from({}, model_file=out, data_dir=tmp_path)
    models = answer_models(settings)
    assert set(models.parts) == {"*", "school/default"}
    easy, hard = (models.of("any").item(name, 0) for name in ("p2", "p0"))
    assert easy is not None
    assert hard is not None
    assert easy.difficulty < hard.difficulty, "problems whose number leaves more over at 3 are easier"
    asked = [ItemAsked("p0", ("s0", "all")), ItemAsked("new", ("s0",)), ItemAsked("new", ("new",))]
    assert [one.basis for one in chances(b"", asked, 0, models.of("any"))] == ["item", "skills", "prior"]
    assert skill_model(settings).items, "the other parts stay"
    out.write_bytes(out.read_bytes()[:-1])
    with pytest.raises(StartRefused, match="MODEL_FILE .* cannot be used"):
        answer_models(settings)


def test_parameters_that_another_engine_made_are_made_anew(answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.msgpack"
    out.write_bytes(msgspec.msgpack.encode({"version": 1, "skills": {"drift": 0.02}, "forecast": None}))
    assert "Wrote" in run("fit", "skills", str(answers), "--out", str(out))
    assert skill_model(settings_from({}, model_file=out, data_dir=tmp_path)).items
    out.write_bytes(b"no parameters")
    run("fit", "skills", str(answers), "--out", str(out), exits=1)
    assert out.read_bytes() == b"no parameters"


def test_a_file_of_parameters_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    for name, content in (("bad.json", b"{"), ("bad.msgpack", b"\x01"), ("later.json", b'{"version": 9}')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StartRefused, match="MODEL_FILE .* cannot be used"):
            skill_model(settings_from({}, model_file=tmp_path / name, data_dir=tmp_path))
    with pytest.raises(StartRefused, match="MODEL_FILE .* it is a folder"):
        skill_model(settings_from({}, model_file=tmp_path, data_dir=tmp_path))


@pytest.mark.skipif(not SHARED.exists(), reason="the shared learner data is not here")
def test_on_some_real_learners(tmp_path: Path) -> None:
    real = list(read_answers(SHARED / "assist17_ts.csv.gz").values())
    path = write(tmp_path / "some.csv", [rows[:150] for rows in real[:TESTED]])
    figures = backtest(path, lambda _: None, models=[ENGINE, "pfa"], splits=1).result.mean
    engine, pfa = figures[ENGINE].auc, figures["pfa"].auc
    assert engine is not None
    assert pfa is not None
    assert engine > pfa
