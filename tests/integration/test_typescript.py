"""TypeScript types made of the OpenAPI document by a foreign tool, and a typed program that compiles with them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.servers.npm import npm_packages
from tests.support.processes import ROOT
from tests.support.real_servers import RealServers

PACKAGES = {"openapi-typescript": "7.13.0", "openapi-fetch": "0.17.0", "typescript": "5.9.3"}
DOCUMENT = ROOT / "specs" / "003-mastery-engine" / "contracts" / "openapi.json"
STRICT = ["--strict", "--noEmit", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"]


@pytest.fixture(scope="module")
def node_modules(real_servers: RealServers) -> Path:
    """What it is compiled with; where node is missing this is skipped loudly, in CI failed."""
    return real_servers.had("TypeScript", lambda: npm_packages("typescript", **PACKAGES)) / "node_modules"


def node(node_modules: Path, command: str, *arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    argv = ["node", str(node_modules / ".bin" / command), *arguments]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=110)


def test_a_typed_program_compiles_with_types_made_of_the_document(node_modules: Path, tmp_path: Path) -> None:
    """What must not compile stands in it, too, and fails it where it does."""
    (tmp_path / "node_modules").symlink_to(node_modules)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    made = node(node_modules, "openapi-typescript", str(DOCUMENT), "--output", "mastery.d.ts", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    shutil.copy(Path(__file__).parent / "typescript" / "program.ts", tmp_path)
    compiled = node(node_modules, "tsc", *STRICT, "program.ts", folder=tmp_path)
    assert compiled.returncode == 0, compiled.stdout
