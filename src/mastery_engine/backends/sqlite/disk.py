"""Whether the disk under a SQLite file holds what is written to it, as far as the system tells."""

import re
from pathlib import Path

from mastery_engine.ports.backend import Danger

MOUNTS = Path("/proc/self/mountinfo")  # Linux; elsewhere nothing is known
OVER_A_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone"}
)
IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def dangers_of_disk(path: Path) -> list[Danger]:
    """What the file system of a file does to a database; nothing where it is not known."""
    kind = file_system(path)
    if kind in OVER_A_NETWORK:
        return [
            Danger(
                f"DATA_DIR is on a network file system ({kind}), on whose locks SQLite cannot rely: the database may "
                "be damaged. Set DATA_DIR to a folder on a disk of this machine."
            )
        ]
    if kind in IN_MEMORY:
        return [
            Danger(
                f"DATA_DIR is in memory ({kind}): students are gone when the machine stops. Set DATA_DIR to a folder "
                "on a disk."
            )
        ]
    return []


def file_system(path: Path) -> str | None:
    """The kind of the file system that a path lies on, as the kernel calls it; None where it is not known."""
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:
        return None
    place, longest, kind = f"{path.resolve()}/", 0, None
    for line in lines:
        before, _, after = line.partition(" - ")
        mounted = before.split(" ", 5)[4].rstrip("/") + "/"
        if "\\" in mounted:
            mounted = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mounted)
        if place.startswith(mounted) and len(mounted) >= longest:
            longest, kind = len(mounted), after.split(" ", 1)[0]
    return kind
