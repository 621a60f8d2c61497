"""`mastery-engine serve` with one more follower of results: it notes their ids, and kills the process at chosen calls.

FOLLOWED names the file of the ids, KILLED_AT the calls (``2-before,5-after``: before or after the ids were noted).
"""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from mastery_engine import wiring
from mastery_engine.__main__ import main
from mastery_engine.domain.results import Result, result_id
from mastery_engine.ports.result_log import ResultLog
from mastery_engine.services.outgoing import Follower, Outgoing
from mastery_engine.telemetry.metrics import Metrics


class NotesIds:
    """See ``Follower``."""

    name = "notes"

    def __init__(self, file: Path, killed_at: Sequence[str]) -> None:
        self._file, self._killed_at, self._calls = file, killed_at, 0

    async def follow(self, results: Sequence[Result]) -> None:
        self._calls += 1
        self._die("before")
        with self._file.open("a") as out:
            out.writelines(f"{result_id(result)}\n" for result in results)
            out.flush()
            os.fsync(out.fileno())
        self._die("after")

    def _die(self, moment: str) -> None:
        if f"{self._calls}-{moment}" in self._killed_at:
            os.kill(os.getpid(), signal.SIGKILL)


def followed(log: ResultLog, followers: Sequence[Follower], metrics: Metrics) -> Outgoing:
    notes = NotesIds(Path(os.environ["FOLLOWED"]), os.environ.get("KILLED_AT", "").split(","))
    return Outgoing(log, [*followers, notes], metrics)


if __name__ == "__main__":
    vars(wiring)["Outgoing"] = followed
    main()
