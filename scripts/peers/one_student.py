"""What the peers bench runs pyBKT and a regression with: it prints the milliseconds of each as JSON."""

import json
import random
import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd
from pyBKT.models import Model, Roster
from sklearn.linear_model import LinearRegression

STUDENTS, ANSWERS, SEED = 30, 20, 1


def answers() -> pd.DataFrame:
    """A class whose students learn one skill."""
    chance = random.Random(SEED)
    rows = []
    for student in range(STUDENTS):
        known = False
        for _ in range(ANSWERS):
            rows.append((len(rows), student, "loops", int(chance.random() < (0.9 if known else 0.3))))
            known = known or chance.random() < 0.2
    return pd.DataFrame(rows, columns=["order_id", "user_id", "skill_name", "correct"])


def timed_ms(call: Callable[[], object], repeats: int) -> float:
    """The median of repeats."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1e3)
    return median(times)


def main() -> None:
    """Fit the class, then time one student."""
    warnings.simplefilter("ignore")
    data = answers()
    model = Model(seed=SEED, num_fits=1)
    model.fit(data=data)
    roster = Roster(students=["ada"], skills="loops", model=model)
    student = data[data.user_id == 3]
    days, scores = np.arange(30).reshape(-1, 1), np.linspace(0.3, 0.6, 30)
    ahead = np.arange(30, 37).reshape(-1, 1)

    def update() -> None:
        roster.update_state("loops", "ada", 1)
        roster.get_correct_prob("loops", "ada")

    measured = {
        "update": timed_ms(update, 20),
        "refit": timed_ms(lambda: Model(seed=SEED, num_fits=1).fit(data=student), 5),
        "regression": timed_ms(lambda: LinearRegression().fit(days, scores).predict(ahead), 100),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
