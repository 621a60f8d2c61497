"""What a tutor would notice in a student's events: ``python src/skills/pattern_matcher.py events.jsonl student_12345``.

It runs without a server or a data folder; patterns and open struggles as JSON.
"""

import json
import sys
from pathlib import Path

from mastery_engine.domain.advice.patterns import patterns
from mastery_engine.domain.advice.struggle import open_spells
from mastery_engine.domain.moments import iso_date
from mastery_engine.domain.rules import Rules
from mastery_engine.errors import InvalidInput
from mastery_engine.lab.folded import folded


def match(path: Path, student_id: str) -> dict[str, object]:
    """The patterns, the strongest first, and the topics that the student struggles with. Raises InvalidInput."""
    rules = Rules()
    student, now = folded(path, student_id, rules)
    today = rules.day_of(now)
    oldest = rules.start_of(rules.first_day(today))
    return {
        "patterns": [
            {
                "kind": pattern.kind,
                "strength": round(pattern.strength, 4),
                "since": iso_date(pattern.since),
                "evidence": pattern.evidence,
            }
            for pattern in patterns(student, today, rules)
        ],
        "struggles": [
            {"topic": topic, "pattern": spell.trigger, "evidence": spell.evidence}
            for topic, spell in open_spells(student.guidance.spells, oldest)
        ],
    }


if __name__ == "__main__":
    try:
        print(json.dumps(match(Path(sys.argv[1]), sys.argv[2])))
    except (IndexError, OSError, InvalidInput) as error:
        sys.exit(f"Error: {error} Usage: pattern_matcher.py EVENTS.jsonl STUDENT_ID")
