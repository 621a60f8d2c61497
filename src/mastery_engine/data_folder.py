"""The data folder of one machine: secrets made once for development, and the lock of the process that works the log."""

import fcntl
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from mastery_engine.errors import StartRefused
from mastery_engine.settings import Settings

SECRET_FILE = "jwt-secret"  # nosec B105
PSEUDONYM_FILE = "pseudonym-key"
LOCK_FILE = "worker.lock"


def development_secret(settings: Settings, name: str) -> str:
    """A secret for development, made once and stored, so that all commands on a data folder use the same."""
    path = data_folder(settings) / name
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            with suppress(FileExistsError):
                os.link(file.name, path)  # atomic, so the file is complete, and the first process wins
    return path.read_text().strip()


def data_folder(settings: Settings) -> Path:
    """The data folder, made if it is missing. Raises StartRefused if it cannot be made."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StartRefused(
            f"DATA_DIR {settings.data_dir} cannot be made ({error.strerror}): set DATA_DIR to another folder."
        ) from error
    return settings.data_dir


class WorkerLock:
    """The lock of the one process that works a data folder's log; the system releases it when the process ends."""

    def __init__(self, settings: Settings) -> None:
        self._path = data_folder(settings) / LOCK_FILE if settings.is_on_one_machine else None
        self._file: IO[str] | None = None

    def take(self) -> bool:
        """Take the lock; whether this process may work the log now. Always True if the folder holds no shared data.

        Raises StartRefused if the folder cannot be written.
        """
        if self._path is None:
            return True
        if self._file is not None:
            return True
        try:
            file = self._path.open("a")
        except OSError as error:
            raise StartRefused(
                f"DATA_DIR {self._path.parent} cannot be written ({error.strerror}): set DATA_DIR to another folder."
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> "WorkerLock":
        if not self.take():
            raise StartRefused(
                f"Another process already works the data folder {self._path and self._path.parent}: stop it first, or "
                "set DATA_DIR to another folder."
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
