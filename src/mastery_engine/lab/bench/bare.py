"""The floors of the HTTP benches: bare FastAPI routes with the bodies and answers of ours, and no more."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class FloorQuery(BaseModel):
    student_id: str
    include_components: bool = True


class FloorComponent(BaseModel):
    component: str
    score: float
    weight: float
    contribution: float


class FloorMastery(BaseModel):
    mastery_score: float
    level: str
    coverage: float
    timestamp: str
    recommendations: list[dict[str, str]]
    components: dict[str, float]
    breakdown: list[FloorComponent]


class FloorAnswer(BaseModel):
    student_id: str
    current_mastery: FloorMastery
    historical_average: float
    trend: str
    last_updated: str


class FloorEnvelope(BaseModel):
    success: bool
    data: FloorAnswer
    meta: dict[str, str]


@app.post("/mastery/query")
async def query(body: FloorQuery) -> FloorEnvelope:
    """An answer of the size of a real one."""
    parts = {"completion": 0.85, "quiz": 0.9, "quality": 0.85, "consistency": 0.82}
    current = FloorMastery(
        mastery_score=0.862,
        level="proficient",
        coverage=1.0,
        timestamp="2026-01-14T10:30:00.123456Z",
        recommendations=[],
        components=parts,
        breakdown=[
            FloorComponent(component=name, score=score, weight=0.25, contribution=0.2) for name, score in parts.items()
        ],
    )
    answer = FloorAnswer(
        student_id=body.student_id,
        current_mastery=current,
        historical_average=0.8,
        trend="stable",
        last_updated="2026-01-14T10:30:00.123456Z",
    )
    meta = {"timestamp": "2026-01-14T10:30:00Z", "version": "1.0.0", "request_id": "00000000"}
    return FloorEnvelope(success=True, data=answer, meta=meta)


@app.post("/xapi/statements")
async def statements(body: list[dict[str, Any]]) -> list[str]:
    """As many ids as there are statements."""
    return [f"00000000-0000-4000-a000-{number:012d}" for number, _ in enumerate(body)]
