"""How Ctrl-C ends a process."""

import os
import signal
from typing import NoReturn

INTERRUPTED = 128 + signal.SIGINT


def end_at_once() -> NoReturn:
    """End the process as a kill does, which loses nothing that was acknowledged, but with the exit code of Ctrl-C."""
    os._exit(INTERRUPTED)
