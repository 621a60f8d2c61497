"""Answers as data frames: the documented dtypes, the same columns with rows and without, and fields by their names."""

import builtins
import datetime
from typing import Any, get_type_hints

import msgspec
import pandas
import pytest
from pandas.api.types import CategoricalDtype

from mastery_client import FramesNotInstalled, MasteryClient, answers, calls
from mastery_client.answers import NextAnswer, SkillState, StudentSkills
from mastery_client.call import Call
from mastery_client.frames import columns_of, frame, words_of
from mastery_client.response import RowList, TableResponse
from tests.support.calls import COHORT
from tests.support.client import ADA, BEA, CALLS, School

pytestmark = pytest.mark.xdist_group("client")

TABLES = [kind for kind in vars(answers).values() if isinstance(kind, type) and issubclass(kind, TableResponse)]
TABLES.remove(TableResponse)


def dtypes(found: pandas.DataFrame) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in found.dtypes.items()}


def test_history_is_a_frame_of_days(school: School) -> None:
    found = school.client().history(ADA).to_frame()
    assert dtypes(found) == {
        "student_id": "string",
        "date": "datetime64[us]",
        "mastery_score": "float64",
        "level": "string",
    }
    assert len(found) > 10
    assert found["date"].is_monotonic_increasing
    assert found["mastery_score"].between(0, 1).all()


def test_the_forecast_is_a_frame_of_days_ahead(school: School) -> None:
    found = school.client().next_week(ADA).to_frame()
    assert list(found.columns) == ["student_id", "date", "score", "lower", "upper"]
    assert len(found) == 7
    assert ((found["lower"] <= found["score"]) & (found["score"] <= found["upper"])).all()


def test_skills_have_moments_with_a_zone_and_words_as_categories(school: School) -> None:
    found = school.client().skills(ADA).to_frame()
    assert dtypes(found) == {
        "student_id": "string",
        "skill": "string",
        "probability": "float64",
        "uncertainty": "float64",
        "forgotten": "float64",
        "last_practised": "datetime64[us, UTC]",
        "answers": "int64",
        "basis": "category",
    }
    assert list(found["basis"].cat.categories) == ["answers", "exercises", "prior"]
    assert set(found["skill"]) == {"loops"}


def test_frames_of_two_students_fit_one_another(school: School) -> None:
    engine = school.client()
    both = pandas.concat([engine.skills(one).to_frame() for one in (ADA, BEA)])
    assert isinstance(both["basis"].dtype, CategoricalDtype)
    assert both.groupby("student_id", observed=True)["probability"].mean().index.tolist() == [BEA, ADA]


def test_batches_have_a_row_for_each_result_and_receipts_their_errors(school: School) -> None:
    engine = school.client()
    for answer in (CALLS["calculate_batch"](engine, school), engine.batch_status(school.batch_id)):
        found = answer.to_frame()
        assert {"index", "student_id", "mastery_score", "completion", "quiz", "quality", "consistency"} <= {*found}
        assert found["quiz"].dtype == "float64"
        assert len(found) == len(answer.results)
    receipts = CALLS["ingest_batch"](engine, school).to_frame()
    assert dtypes(receipts) | {"error_code": "string", "error_message": "string"} == dtypes(receipts)
    assert receipts["status"].tolist() == ["queued", "refused"]
    assert receipts["error_code"].isna().tolist() == [True, False]


def test_classes_and_lists_are_frames(school: School) -> None:
    engine = school.client()
    at_risk = engine.cohort(COHORT).to_frame()
    assert list(at_risk.columns)[:4] == ["cohort_id", "student_id", "mastery_score", "level"]
    assert at_risk["risk"].is_monotonic_decreasing
    assert at_risk["reasons"].map(lambda reasons: reasons[0].message != "").all()
    audit = engine.audit(limit=5).to_frame()
    assert (str(audit["at"].dtype), str(audit["allowed"].dtype)) == ("datetime64[us, UTC]", "bool")
    assert str(engine.recommendations(ADA).to_frame()["priority"].dtype) == "category"
    assert len(engine.iter_students().to_frame()) >= 6
    assert list(engine.iter_cohort_members(COHORT).to_frame().columns) == ["student_id"]


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
def test_without_rows_a_frame_has_the_same_columns_and_dtypes(kind: Any) -> None:
    """For each answer with rows: of what is made of its types, with one row and with none."""
    rows = [made(kind._row)] if issubclass(kind._row, msgspec.Struct) else ["s1"]
    full, empty = frame(rows, kind._row), frame([], kind._row)
    assert dtypes(full) == dtypes(empty) == {one.name: one.dtype for one in columns_of(kind._row)}
    assert (len(full), len(empty)) == (1, 0)
    for name in full.select_dtypes("category"):
        assert list(full[name].cat.categories) == list(empty[name].cat.categories)
    assert len(pandas.concat([full, empty])) == 1


def made(struct: Any) -> Any:
    """A struct with something in each field that must be there."""
    hints = get_type_hints(struct, include_extras=True)
    simple: dict[Any, Any] = {
        str: "x",
        int: 1,
        float: 0.5,
        bool: True,
        datetime.date: datetime.date(2026, 1, 14),
        datetime.datetime: datetime.datetime(2026, 1, 14, 10, 30, tzinfo=datetime.UTC),
    }

    def one(hint: Any) -> Any:
        words = [word for meta in getattr(hint, "__metadata__", ()) for word in words_of(meta)]
        if words:
            return words[0]
        is_struct = isinstance(hint, type) and issubclass(hint, msgspec.Struct)
        return made(hint) if is_struct else simple.get(hint, [] if "list" in str(hint) else None)

    return struct(**{field.name: one(hints[field.name]) for field in msgspec.structs.fields(struct) if field.required})


def test_a_row_has_missing_values_where_nothing_is_known() -> None:
    row = SkillState(
        skill="loops",
        probability=0.5,
        uncertainty=0.1,
        forgotten=0.0,
        last_practised=None,
        answers=0,
        basis="prior",
    )
    found = StudentSkills(student_id="ada", skills=[row]).to_frame()
    assert found["last_practised"].isna().all()
    assert str(found["last_practised"].dtype) == "datetime64[us, UTC]"


def test_a_word_of_a_newer_engine_is_a_category_more() -> None:
    rows = [NextAnswer(item_id="i", probability=0.5, uncertainty=0.1, basis=word) for word in ("item", "stars")]
    found = RowList(rows, NextAnswer).to_frame()
    assert list(found["basis"].cat.categories) == ["item", "prior", "skills", "stars"]


def test_every_list_of_an_answer_is_a_frame_or_is_said_not_to_be() -> None:
    """A new answer with rows is a frame, too, or stands here."""
    without = {
        "CohortRecord": "its members are ids: iter_cohort_members has them",
        "CourseRecord": "its items and modules are a course, no measurements",
        "Export": "all that is held, as one document",
        "ImportedRoster": "its rows are what was wrong",
        "ProfileRecord": "ids on other platforms",
        "ReadinessReport": "what an operator reads",
        "StudentMastery": "one student: history and skills have the rows",
        "Calculated": "one score",
        "SetWebhook": "one webhook",
        "WebhookRecord": "one webhook",
        "Erasure": "what stays, in words",
        "Comparison": "one student",
        "Receipt": "one event",
    }
    answered = {kind for call in vars(calls).values() if isinstance(call, Call) for kind in call.reads.values()}
    structs = {kind for kind in answered if isinstance(kind, type) and issubclass(kind, msgspec.Struct)}
    lists = {kind.__name__ for kind in structs if any("list" in str(hint) for hint in get_type_hints(kind).values())}
    assert lists - {kind.__name__ for kind in TABLES} - without.keys() == set()


def test_without_pandas_it_says_what_to_install(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return imported(name, *rest)

    skills = school.client().skills(ADA)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(FramesNotInstalled, match=r"pip install \"mastery-engine-client\[frames\]\""):
        skills.to_frame()
    assert isinstance(school.client(), MasteryClient)
