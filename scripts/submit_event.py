"""Submit one learning event: to Kafka where KAFKA_BROKER is set, else over HTTP with a development token.

Example: python scripts/submit_event.py --type completion --student student_12345
In a course of its own: --type completion --student student_12345 --course physics-7b
A mark, and its correction, which counts in its place:
  --type quiz --student student_12345 --data '{"total_questions": 10, "correct_answers": 6.5, "attempt_id": "quiz-7"}'
  --type quiz --student student_12345 --data '{"total_questions": 10, "correct_answers": 8, "attempt_id": "quiz-7"}'
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

if TYPE_CHECKING:
    from mastery_engine.settings import Settings

TOPIC = "mastery.requests"
PATIENCE_S = 15.0
SAMPLES: dict[str, dict[str, Any]] = {
    "completion": {
        "total_exercises": 10,
        "completed_exercises": 8,
        "difficulty": "intermediate",
        "topic": "control-flow",
    },
    "quiz": {"total_questions": 10, "correct_answers": 9, "topic": "control-flow", "confidence_score": 0.8},
    "quality": {"code_quality_score": 0.85, "correctness_score": 0.9, "efficiency_score": 0.8},
    "consistency": {"current_streak": 5, "max_streak": 12, "days_since_last_activity": 0},
    "answer": {"item_id": "loops-q1", "skills": ["loops"], "correct": True, "attempts": 1, "duration": 21.5},
    "execution": {"outcome": "error", "topic": "loops", "exercise_id": "loops-3", "error_type": "IndexError"},
    "help": {"topic": "loops", "message": "I don't understand why the last element is missing."},
    "recommendation.followed": {"recommendation_id": "practice-loops"},
    "recommendation.dismissed": {"recommendation_id": "practice-loops", "reason": "I know this already."},
    "mastery.calculation.requested": {
        "components": {"completion": 0.85, "quiz": 0.90, "quality": 0.85, "consistency": 0.82}
    },
}


class NotTaken(Exception):
    """The event was not taken; the message says why."""


def main() -> None:
    from mastery_engine.domain.events.event import decode
    from mastery_engine.domain.events.kinds import ALIASES
    from mastery_engine.errors import MasteryError
    from mastery_engine.settings import settings_from
    from mastery_engine.wiring_clocks import system_clock

    given = arguments()
    event = {
        "event_id": given.id or str(uuid4()),
        "event_type": given.type,
        "student_id": given.student,
        "data": SAMPLES[ALIASES.get(given.type, given.type)] if given.data is None else given.data,
        "source": "submit-event",
        **({} if given.course is None else {"course_id": given.course}),
    }
    body = json.dumps(event).encode()
    try:
        decode(body, received=system_clock())
        settings = settings_from(os.environ)
        if settings.kafka_broker:
            answer = to_kafka(body, given.student, given.tenant, settings)
        else:
            answer = over_http(body, given.url, given.tenant, settings)
    except (MasteryError, NotTaken) as error:
        sys.exit(f"Error: {error}")
    print(answer)


def arguments() -> argparse.Namespace:
    from mastery_engine.domain.events.kinds import ALIASES, KINDS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--type", required=True, choices=[*KINDS, *ALIASES], metavar="TYPE", help="what happened")
    parser.add_argument("--student", required=True, metavar="ID", help="whose event it is")
    parser.add_argument("--data", type=json.loads, metavar="JSON", help="the event's data; else a sensible sample")
    parser.add_argument("--id", metavar="ID", help="the event's id; else a new one")
    parser.add_argument("--course", metavar="ID", help="the course that it counts in; else the default one")
    parser.add_argument("--tenant", default="default", metavar="NAME")
    parser.add_argument(
        "--url", default=f"http://localhost:{os.environ.get('PORT') or 8005}", help="where the service is; %(default)s"
    )
    return parser.parse_args()


def over_http(body: bytes, url: str, tenant: str, settings: "Settings") -> str:
    """The service's answer. Raises NotTaken."""
    from mastery_engine.wiring_tokens import tokens

    token = tokens(settings).make(subject="submit-event", role="service", tenant=tenant)
    request = urllib.request.Request(
        f"{url.rstrip('/')}/mastery/ingest",
        body,
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return str(response.read(), "utf-8")
    except urllib.error.HTTPError as error:
        raise NotTaken(f"the service answered {error.code}: {error.read().decode()}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NotTaken(f"no service answers at {url} ({reason}); `make run` starts one.") from error


def to_kafka(body: bytes, student_id: str, tenant: str, settings: "Settings") -> str:
    """Where Kafka keeps the event. Raises NotTaken."""
    from confluent_kafka import KafkaException, Producer

    from mastery_engine.wiring import kafka_settings

    failures: list[str] = []
    places: list[str] = []

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            failures.append(str(error))
        else:
            places.append(f"{message.topic()}, partition {message.partition()}, offset {message.offset()}")

    configuration = kafka_settings(settings).client(**{"acks": "all", "message.timeout.ms": round(PATIENCE_S * 1_000)})
    try:
        producer = Producer(configuration)
        producer.produce(TOPIC, body, key=student_id, headers={"tenant": tenant}, on_delivery=delivered)
        producer.flush(PATIENCE_S + 1)
    except KafkaException as error:
        raise NotTaken(str(error)) from error
    if not places:
        raise NotTaken(f"Kafka at {settings.kafka_broker} did not take it: {'; '.join(failures) or 'no answer'}")
    return json.dumps({"event_id": json.loads(body)["event_id"], "status": "queued", "kafka": places[0]})


if __name__ == "__main__":
    main()
