"""The file of parameters that ``fit`` writes: looked at before the work, one writer at a time, whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelOut:
    """The file, where it really is, behind links."""

    path: Path

    def source(self) -> bytes | None:
        """What it holds; of a new one the beginning, where its name says that it is JSON."""
        if self.path.exists():
            return self.path.read_bytes()
        return b'{"version": 1}' if self.path.suffix == ".json" else None

    def write(self, content: bytes) -> None:
        """All of it or nothing, since processes look for it to change; who may read it stays."""
        import tempfile

        mode = self.path.stat().st_mode & 0o777 if self.path.exists() else 0o644
        with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=f".{self.path.name}.") as folder:
            made = Path(folder, self.path.name)
            made.write_bytes(content)
            made.chmod(mode)
            made.replace(self.path)


@contextmanager
def model_out(out: Path) -> Iterator[ModelOut]:
    """The file to write, alone: a second writer waits, or would not know of what the first one adds.

    Raises StartRefused where it cannot be written.
    """
    import fcntl
    import os

    from mastery_engine.errors import StartRefused

    path = out.resolve()
    if path.exists() and not path.is_file():
        raise StartRefused(f"{out} is no file that could be written: name another one.")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise StartRefused(f"The folder {path.parent} is not there or cannot be written: {out} cannot be made in it.")
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield ModelOut(path)
    finally:
        os.close(folder)
