"""What a student should do next: ``python src/skills/adaptive_engine.py events.jsonl student_12345``.

It runs without a server or a data folder; advice by the gain of mastery for each minute, as JSON.
"""

import json
import sys
from pathlib import Path

from mastery_engine.domain.advice.guidance import advice_for
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import outlook_of
from mastery_engine.errors import InvalidInput
from mastery_engine.lab.folded import course, folded

ADVICE = 5


def advise(path: Path, student_id: str) -> list[dict[str, object]]:
    """Up to five pieces of advice, best first. Raises InvalidInput."""
    rules = Rules()
    student, now = folded(path, student_id, rules)
    today = rules.day_of(now)
    view = outlook_of(student.evidence, student.knowledge, course(), today, rules)
    score = mastery_score(student.evidence, now, rules)
    advice = advice_for(student.guidance, student.evidence, score, view, today, rules, limit=ADVICE)
    return [
        {
            "action": recommended.action,
            "area": recommended.area,
            "priority": recommended.priority,
            "expected_gain": round(recommended.gain, 4),
        }
        for recommended in advice
    ]


if __name__ == "__main__":
    try:
        print(json.dumps(advise(Path(sys.argv[1]), sys.argv[2])))
    except (IndexError, OSError, InvalidInput) as error:
        sys.exit(f"Error: {error} Usage: adaptive_engine.py EVENTS.jsonl STUDENT_ID")
