"""Writes the bill of materials of an environment to standard output: CycloneDX 1.6, as JSON.

    python scripts/sbom.py REPORT [SITE_PACKAGES]

REPORT is what ``pip install --report`` wrote when it installed the requirements: which files, with which hashes.
Licences and dependencies are those that the packages in SITE_PACKAGES declare (of this Python, if it is left out).
SOURCE_DATE_EPOCH, in seconds, stands for the present.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = "mastery-engine"
LONGEST_NAME = 100
CLASSIFIER = "License :: OSI Approved :: "


def bill(report: dict[str, Any], installed: dict[str, Distribution], *, at: datetime) -> dict[str, Any]:
    """The bill for what ``report`` says was installed. Raises SystemExit if the environment has another version."""
    hashes = {
        canonicalize_name(item["metadata"]["name"]): item["download_info"]["archive_info"]["hashes"]["sha256"]
        for item in report["install"]
    }
    for item in report["install"]:
        name, version = canonicalize_name(item["metadata"]["name"]), item["metadata"]["version"]
        if name not in installed or installed[name].version != version:
            raise SystemExit(f"The report has {name} {version}, and the environment another version or none.")
    ours = component(installed[OURS], "application")
    parts = [component(installed[name], "library", sha256=hashes[name]) for name in sorted(hashes)]
    content = json.dumps([ours, parts], sort_keys=True)
    refs = {name: purl(installed[name]) for name in [OURS, *sorted(hashes)]}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {"timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": ours},
        "components": parts,
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(refs[other] for other in needs(installed[name]) & refs.keys())}
            for name, ref in refs.items()
        ],
    }


def component(package: Distribution, kind: str, *, sha256: str | None = None) -> dict[str, Any]:
    """A package, with the licence that it declares and the hash of the file that it came in."""
    ref = purl(package)
    known: dict[str, Any] = {
        "type": kind,
        "bom-ref": ref,
        "name": package.name,
        "version": package.version,
        "purl": ref,
    }
    if sha256 is not None:
        known["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    if declared := licences(package):
        known["licenses"] = declared
    return known


def purl(package: Distribution) -> str:
    return f"pkg:pypi/{canonicalize_name(package.name)}@{package.version}"


def licences(package: Distribution) -> list[dict[str, Any]]:
    """What a package says of its licence: an SPDX expression, else a name, else nothing."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return [{"expression": expression, "acknowledgement": "declared"}]
    names = [
        classifier.removeprefix(CLASSIFIER)
        for classifier in metadata.get_all("Classifier", [])
        if classifier.startswith(CLASSIFIER)
    ]
    text = metadata.get("License", "").strip()
    if not names and 0 < len(text) <= LONGEST_NAME and "\n" not in text:
        names = [text]
    return [{"license": {"name": name, "acknowledgement": "declared"}} for name in names]


def needs(package: Distribution) -> set[str]:
    """The names of what a package requires here, with any of its extras."""
    extras = ["", *package.metadata.get_all("Provides-Extra", [])]
    wanted = [Requirement(line) for line in package.requires or ()]
    return {
        canonicalize_name(each.name)
        for each in wanted
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras)
    }


def main() -> None:
    report, *places = sys.argv[1:]
    packages = distributions(path=places) if places else distributions()
    installed = {canonicalize_name(package.name): package for package in packages}
    at = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())), UTC)
    json.dump(bill(json.loads(Path(report).read_text()), installed, at=at), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
