"""``python -m mastery_engine`` is ``mastery-engine``: the process from its first moment to its exit code."""

import os
import sys
from contextlib import suppress

from mastery_engine.interrupted import INTERRUPTED


def main() -> None:
    """Run the command of this process's arguments. Ctrl-C, and a reader that has read enough, end it without a word."""
    try:
        from mastery_engine.cli import main as run_command

        run_command()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        _flush_or_forget()


def _flush_or_forget() -> None:
    """Write what waits to be written; where nobody takes it, let the interpreter, which tries again, not complain."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
