"""A process that has imported all of the engine and forks the processes that ``tests.support.processes`` asks it for.

Run as a program, with the number of a socket by which it is asked.
"""

import ctypes
import gc
import json
import os
import signal
import socket
import sys
import time
from typing import Any

PR_SET_PDEATHSIG = 1
MOST_BYTES = 1 << 17  # of what is asked


def preload() -> None:
    """Import what every start of the engine imports."""
    import uvicorn.lifespan.on
    import uvicorn.loops.auto  # noqa: F401

    import mastery_engine.cli
    import mastery_engine.service  # noqa: F401

    gc.collect()
    gc.freeze()


def fork_what_is_asked(asking: socket.socket) -> None:
    """Fork until nobody asks any more; returns in each process that was asked for."""
    while True:
        message, files, _, _ = socket.recv_fds(asking, MOST_BYTES, 3)
        if not message:
            os._exit(0)
        between = os.fork()
        if between:
            os.waitpid(between, 0)
            for file in files:
                os.close(file)
            continue
        between = os.getpid()
        if os.fork():
            os._exit(0)  # so that who asked, who takes in orphans, becomes the parent
        while os.getppid() == between:
            os.sched_yield()
        _become(json.loads(message), files)
        asking.send(str(os.getpid()).encode())
        asking.close()
        return


def _become(asked: dict[str, Any], files: list[int]) -> None:
    """What a start does: a group of its own, which ends with its parent, its files, folder, environment and words."""
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    sys.argv = ["mastery-engine", *asked["words"]]


if __name__ == "__main__":
    preload()
    with socket.socket(fileno=int(sys.argv[1])) as asking:
        fork_what_is_asked(asking)

    from mastery_engine.__main__ import main

    main()
