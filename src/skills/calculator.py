"""The mastery score of components: ``python src/skills/calculator.py completion=0.85 quiz=0.9``; JSON out.

It runs without a server or a data folder; a component that is not given has no evidence.
"""

import json
import sys

from mastery_engine.domain.evidence.explanation import costs, missing
from mastery_engine.domain.evidence.score import score_of
from mastery_engine.domain.rules import COMPONENTS, Rules


def calculate(given: dict[str, float]) -> dict[str, object]:
    """Score, level, coverage, what is missing to the next level, and what each component costs.

    Raises ValueError where a component is unknown or its value is not in [0, 1].
    """
    for name, value in given.items():
        if name not in COMPONENTS:
            raise ValueError(f"{name} is none of {', '.join(COMPONENTS)}.")
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} must be from 0 to 1.")
    rules = Rules()
    completion, quiz, quality, consistency = (given.get(name) for name in COMPONENTS)
    score = score_of((completion, quiz, quality, consistency), rules)
    lacking = missing(score, rules)
    return {
        "score": round(score.score, 4),
        "level": score.level,
        "coverage": round(score.coverage, 4),
        "missing_to_next_level": None if lacking is None else round(lacking, 4),
        "costs": {part.component: round(part.cost, 4) for part in costs(score, rules)},
    }


def main() -> None:
    """Read NAME=VALUE arguments and print the answer."""
    try:
        pairs = [argument.partition("=") for argument in sys.argv[1:]]
        print(json.dumps(calculate({name: float(value) for name, _, value in pairs})))
    except ValueError as error:
        sys.exit(f"Error: {error} Usage: calculator.py completion=0.85 quiz=0.9 quality=0.85 consistency=0.82")


if __name__ == "__main__":
    main()
