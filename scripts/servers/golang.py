"""Programs built from Go modules, each once, with the versions that its module names."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.servers.cache import Unavailable, cached, command, run

BUILD_S = 3_600


def module(path: str, version: str, checksum: str | None = None) -> Path:
    """The folder of a module's sources; raises Unavailable.

    ``checksum`` is for a module that the public sum database does not know: it stands for its word, for that one alone.
    """
    go = command("go", packages=["golang-go"])
    environment = None if checksum is None else os.environ | {"GONOSUMDB": path}
    argv = [str(go), "mod", "download", "-json", f"{path}@{version}"]
    found = json.loads(run(argv, folder=Path("/"), environment=environment))
    if checksum is not None and found["Sum"] != checksum:
        raise Unavailable(f"{path}@{version} is not what it was: {found['Sum']}")
    return Path(found["Dir"])


def build_inside(path: str, version: str, package: str, *flags: str) -> Path:
    """The folder of a program built in its own module, whose go.mod and go.sum apply; raises Unavailable."""

    def build(folder: Path) -> None:
        go = command("go", packages=["golang-go"])
        out = ["-o", f"{folder}/", package]
        run([str(go), "build", "-trimpath", "-mod=readonly", *flags, *out], folder=module(path, version), limit=BUILD_S)

    return cached(Path(package).name, version, build, takes_minutes=True)


def build_from(name: str, version: str, requires: Mapping[str, str], packages: Sequence[str], *flags: str) -> Path:
    """The folder of programs built from a go.mod of ours that requires these modules; raises Unavailable.

    A module's `replace k8s.io/X => ./staging/...` lines hold in its own tree alone: the published X stand for them.
    """

    def build(folder: Path) -> None:
        go = command("go", packages=["golang-go"])
        source = folder / "source"
        source.mkdir()
        text = "module build\n\ngo 1.25\n"
        text += "".join(f"require {path} {wanted}\n" for path, wanted in requires.items())
        for path, wanted in requires.items():
            own = (module(path, wanted) / "go.mod").read_text()
            published = re.sub(r"^v1\.", "v0.", wanted)
            staged = re.findall(r"^\s*(\S+) => \./staging/", own, re.MULTILINE)
            text += "".join(f"replace {one} => {one} {published}\n" for one in staged)
        (source / "go.mod").write_text(text)
        (source / "tools.go").write_text(
            "//go:build tools\n\npackage build\n\nimport (\n" + "".join(f'\t_ "{one}"\n' for one in packages) + ")\n"
        )
        run(
            [str(go), "build", "-mod=mod", "-trimpath", *flags, "-o", f"{folder}/", *packages],
            folder=source,
            limit=BUILD_S,
        )
        if not any(folder.iterdir()):
            raise Unavailable(f"{name}: the build made nothing")

    return cached(name, version, build, takes_minutes=True)
