"""How long a command takes to start, beside Python itself."""

import os
import subprocess  # nosec B404
import sys
import tempfile
from time import perf_counter

from mastery_engine.domain.moments import Micros
from mastery_engine.errors import StartRefused
from mastery_engine.lab.bench.http import SECRET
from mastery_engine.lab.bench.measures import Line, judged, shown

ENGINE = ("-m", "mastery_engine")


def commands(runs: int, until: Micros, events: int) -> list[Line]:
    """Seconds of ``--help`` and of ``token``, by turns with ``python -c pass``. Raises StartRefused if one fails."""
    del until, events
    argvs = {"help": (*ENGINE, "--help"), "token": (*ENGINE, "token", "--role", "service"), "floor": ("-c", "pass")}
    taken: dict[str, list[float]] = {name: [] for name in argvs}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "DATA_DIR": folder, "JWT_SECRET": SECRET}
        for run in range(-1, runs):  # the first one fills the disk's cache
            for name, argv in argvs.items():
                seconds = _seconds(argv, environment)
                if run >= 0:
                    taken[name].append(seconds)
    return [
        judged("commands", "mastery-engine --help", "s", taken["help"], "help"),
        judged("commands", "mastery-engine token", "s", taken["token"], "token"),
        shown("commands", "floor: python -c pass", "s", taken["floor"]),
    ]


def _seconds(argv: tuple[str, ...], environment: dict[str, str]) -> float:
    started = perf_counter()
    done = subprocess.run(  # nosec B603
        [sys.executable, *argv], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StartRefused(f"mastery-engine {argv[-1]} failed: {done.stderr.strip()[-500:]}")
    return perf_counter() - started
