"""The files that settings name, read at the start."""

import errno
from pathlib import Path

from mastery_engine.errors import StartRefused

_WHY = {
    errno.ENOENT: "there is no such file: correct the path, or leave the setting out",
    errno.EISDIR: "it is a folder: name the file in it",
    errno.ENOTDIR: "a part of the path is no folder: correct the path",
    errno.EACCES: "this user may not read it: give the service's user the right to",
}

_WHY_FOLDER = _WHY | {
    errno.ENOENT: "there is no such folder: correct the path, or leave the setting out",
    errno.ENOTDIR: "it is no folder: name the folder that the files are in",
}


def is_missing(path: Path) -> bool:
    """Whether there is no such file. What may not be looked at is not missing: reading it says why."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def read_setting_file(name: str, path: Path) -> bytes:
    """The content of the file that the setting ``name`` names. Raises StartRefused, which says what to do."""
    try:
        return path.read_bytes()
    except OSError as error:
        why = _WHY.get(error.errno or 0, f"it cannot be read ({error.strerror})")
        raise StartRefused(f"{name} {path} cannot be used: {why}.") from error


def files_in_setting_folder(name: str, folder: Path) -> list[Path]:
    """The files in the folder that the setting ``name`` names, by name. Raises StartRefused, which says what to do."""
    try:
        return sorted(file for file in folder.iterdir() if file.is_file())
    except OSError as error:
        why = _WHY_FOLDER.get(error.errno or 0, f"it cannot be read ({error.strerror})")
        raise StartRefused(f"{name} {folder} cannot be used: {why}.") from error
