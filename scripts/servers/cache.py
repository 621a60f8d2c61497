"""What servers are made from (kept outside the tree, made by whoever asks first), and the ports they get."""

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# Below the ports that the kernel hands to clients (from 32768 on): of those, a client that keeps knocking at
# a dead server is one day given that server's own, and the server cannot come back.
PORTS = range(20_000, 22_000)

_held_ports: list[int] = []


class Unavailable(Exception):
    """A real server cannot be had here; the text says why."""


def root() -> Path:
    """The folder of all builds, which is made if it is not there."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mastery-engine"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _may_take_minutes() -> bool:
    return os.environ.get("BUILD_SERVERS", os.environ.get("CI")) in ("1", "true")


def cached(name: str, version: str, build: Callable[[Path], None], *, takes_minutes: bool = False) -> Path:
    """The folder of this build; where it is absent one process alone makes it, wholly or not at all.

    What takes minutes is built in CI, and where BUILD_SERVERS=1 asks for it. Raises Unavailable elsewhere.
    """
    place = root() / f"{name}-{version}"
    if takes_minutes and not place.exists() and not _may_take_minutes():
        raise Unavailable(f"{name} {version} takes minutes to build: BUILD_SERVERS=1 make test does it once")
    if not place.exists():
        with _alone(place.name):
            if not place.exists():
                with tempfile.TemporaryDirectory(dir=root(), prefix=f".{place.name}.") as scratch:
                    made = Path(scratch) / "made"
                    made.mkdir()
                    build(made)
                    made.rename(place)
    return place


def command(name: str, *, packages: Sequence[str]) -> Path:
    """The path of a command; where it is absent and we are root on Debian, these packages bring it.

    Raises Unavailable.
    """
    with _alone("debian"):
        if shutil.which(name) is None:
            if os.geteuid() != 0 or shutil.which("apt-get") is None:
                raise Unavailable(f"there is no {name}; on Debian: apt-get install {' '.join(packages)}")
            quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            run(["apt-get", "update"], environment=quiet)
            run(["apt-get", "install", "-y", "--no-install-recommends", *packages], environment=quiet)
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"{' '.join(packages)} brought no {name}")
    return Path(found)


def run(
    argv: Sequence[str],
    *,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    limit: float = 600,
) -> str:
    """What a step printed; raises Unavailable with its last lines if it fails or takes longer than so many seconds."""
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{argv[0]}: {error}") from error
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(argv)} ended with {done.returncode}: {done.stdout[-1000:].strip()}")
    return done.stdout


def free_port() -> int:
    """A loopback port that nothing listens on, and that nobody else who asks is given while we live."""
    folder = root() / "ports"
    folder.mkdir(exist_ok=True)
    for port in PORTS:
        held = os.open(folder / str(port), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            continue
        if is_free(port):
            _held_ports.append(held)
            return port
        os.close(held)
    raise Unavailable(f"no port is free between {PORTS.start} and {PORTS.stop}")


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Holds a lock that all processes of this machine share."""
    with (root() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
