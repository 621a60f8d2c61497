"""What the stream bench runs Quix Streams with: a smaller fold, its state in RocksDB with a changelog on Kafka.

It runs in a virtual environment of its own: `python quix_fold.py BROKER EVENTS FOLDER` prints the seconds from the
first event to the end of the last commit.
"""

import sys
from time import perf_counter
from typing import Any
from uuid import uuid4

from quixstreams import Application, State

DIFFICULTY = {"beginner": 0.8, "intermediate": 1.0, "advanced": 1.2}
started: list[float] = []


def fold(event: dict[str, Any], state: State) -> dict[str, Any]:
    """The latest completion of each topic, quizzes and qualities by their plain means; no ids, history or levels."""
    if not started:
        started.append(perf_counter())
    known = state.get("student") or {"topics": {}, "quiz": [0, 0], "quality": [0.0, 0]}
    kind, data = event["event_type"], event["data"]
    if kind == "completion":
        weight = DIFFICULTY[data["difficulty"]]
        done, total = data["completed_exercises"], data["total_exercises"]
        known["topics"][data.get("topic", "")] = [weight * done, weight * total]
    elif kind == "quiz":
        known["quiz"] = [known["quiz"][0] + data["correct_answers"], known["quiz"][1] + data["total_questions"]]
    elif kind == "quality":
        known["quality"] = [known["quality"][0] + data["code_quality_score"], known["quality"][1] + 1]
    state.set("student", known)
    done = sum(weighted for weighted, _ in known["topics"].values())
    total = sum(every for _, every in known["topics"].values())
    completion, quiz = done / total if total else 0.0, known["quiz"][0] / max(known["quiz"][1], 1)
    quality = known["quality"][0] / max(known["quality"][1], 1)
    score = 0.4 * completion + 0.3 * quiz + 0.2 * quality
    components = {"completion": completion, "quiz": quiz, "quality": quality}
    return {"student_id": event["student_id"], "mastery_score": score, "components": components}


def main() -> None:
    broker, events, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    app = Application(
        broker_address=broker,
        consumer_group=f"quix-{uuid4()}",
        state_dir=folder,
        auto_offset_reset="earliest",
        loglevel="ERROR",
    )
    requests = app.topic("mastery.requests", key_deserializer="str", value_deserializer="json")
    results = app.topic("quix.results", key_serializer="str", value_serializer="json")
    app.dataframe(requests).apply(fold, stateful=True).to_topic(results)
    app.run(count=events, collect=False)
    print(perf_counter() - started[0])


if __name__ == "__main__":
    main()
