"""The file of parameters that ``fit`` writes: checked before the work, by one writer at a time, and atomically."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelOut:
    """The file to write, with symbolic links resolved."""

    path: Path

    def source(self) -> bytes | None:
        """The present content; for a new file ``{}`` if its name ends with .json, else None."""
        if self.path.exists():
            return self.path.read_bytes()
        return b'{"version": 1}' if self.path.suffix == ".json" else None

    def write(self, content: bytes) -> None:
        """Write all of it or nothing, since processes watch the file; its permissions stay."""
        import tempfile

        mode = self.path.stat().st_mode & 0o777 if self.path.exists() else 0o644
        with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=f".{self.path.name}.") as folder:
            made = Path(folder, self.path.name)
            made.write_bytes(content)
            made.chmod(mode)
            made.replace(self.path)


@contextmanager
def model_out(out: Path) -> Iterator[ModelOut]:
    """The file to write, locked: a second writer waits, so that it reads what the first one has added.

    Raises StartRefused if it cannot be written.
    """
    import fcntl
    import os

    from mastery_engine.errors import StartRefused

    path = out.resolve()
    if path.exists() and not path.is_file():
        raise StartRefused(f"{out} is not a file that can be written: name another one.")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise StartRefused(
            f"The folder {path.parent} does not exist or cannot be written: name another file than {out}."
        )
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield ModelOut(path)
    finally:
        os.close(folder)
