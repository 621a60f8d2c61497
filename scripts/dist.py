"""Wheel and sdist of what is committed: the same bytes wherever they are built.

    python -m scripts.dist dist

The wheel is built from the sdist and once more from the commit's files; where the two differ nothing is kept.
``SHA256SUMS`` beside them has their hashes. The client in ``clients/python`` is a distribution of its own, built too.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECTS = (".", "clients/python")


def commit_time() -> str:
    """The moment of the last commit, in seconds: what archives give as the time of their files."""
    return _git("log", "-1", "--format=%ct").decode().strip()


def exported(folder: Path) -> Path:
    """The files of the last commit."""
    with tarfile.open(fileobj=BytesIO(_git("archive", "HEAD"))) as archive:
        archive.extractall(folder, filter="data")
    return folder


def built(source: Path, out: Path, *what: str, epoch: str) -> None:
    """Build a project's distributions: both, the wheel from the sdist, unless one is asked for.

    The build runs in this environment, whose packages are pinned, and loads nothing.
    """
    command = [sys.executable, "-m", "build", "--no-isolation", *what, "--outdir", str(out), str(source)]
    given = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    done = subprocess.run(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{source.name} cannot be built.")


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each distribution in a folder."""
    files = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)}


def main(out: Path) -> None:
    """Build all, and say what was built."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or commit_time()
    with tempfile.TemporaryDirectory() as scratch:
        source = exported(Path(scratch, "source"))
        made, again = Path(scratch, "made"), Path(scratch, "again")
        for project in PROJECTS:
            if (source / project / "pyproject.toml").is_file():
                built(source / project, made, epoch=epoch)
                built(source / project, again, "--wheel", epoch=epoch)
        found = digests(made)
        for name, digest in digests(again).items():
            if found.get(name) != digest:
                sys.exit(f"{name} is another one when it is built from the sdist: nothing was kept.")
        out.mkdir(parents=True, exist_ok=True)
        for name in found:
            (made / name).replace(out / name)
    (out / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in found.items()))
    print((out / "SHA256SUMS").read_text(), end="")


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
