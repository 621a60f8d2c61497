"""Structured logs: one JSON document per line, on standard output."""

import logging
import sys
from typing import Any

import msgspec

from mastery_engine.domain.moments import rfc3339
from mastery_engine.domain.printable import printable
from mastery_engine.settings import Settings

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
_OF_A_CALL = vars(logging.makeLogRecord({"msg": "request", "levelno": logging.INFO, "levelname": "INFO"}))
_encode = msgspec.json.Encoder(enc_hook=str).encode


class CallRecord(logging.LogRecord):
    """The record of an answered call, of which there are most; ``created`` is in seconds since 1970.

    What no line has is the same for all of them: a usual record finds it out each time, which takes as long as the
    line.
    """

    def __init__(self, name: str, created: float, fields: dict[str, Any]) -> None:
        vars(self).update(_OF_A_CALL, name=name, created=created, fields=fields)


class JsonLines(logging.Formatter):
    """A line has ``timestamp``, ``level``, ``logger``, ``message`` and the record's ``extra`` fields.

    What senders wrote of it ends no line, and no terminal obeys it.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": rfc3339(round(record.created * 1_000_000)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if isinstance(record, CallRecord):
            line |= vars(record)["fields"]
        else:
            line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return printable(_encode(line).decode())


def configure_logging(settings: Settings) -> None:
    """Send all logs of the process, the server's too, through one handler.

    Values that no line has are not computed: thread, process and calling function ("Optimization" in the documentation
    of ``logging``).
    """
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.access").disabled = True  # RequestMiddleware writes a line for each request
