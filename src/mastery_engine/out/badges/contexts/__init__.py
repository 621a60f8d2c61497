"""The JSON-LD contexts that badges may name: a closed set that comes with the package. Nothing is ever fetched.

A context says what each word of a signed document means, so one that changed would change what was signed. Each is the
document as its publisher has it, and is refused where it is not the one of this hash. Those of the W3C come with PyLD,
those of 1EdTech stand in this folder.
"""

import json
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from mastery_engine.errors import InvalidInput

CREDENTIALS = "https://www.w3.org/ns/credentials/v2"
CREDENTIALS_1 = "https://www.w3.org/2018/credentials/v1"
ED25519_2020 = "https://w3id.org/security/suites/ed25519-2020/v1"
OPEN_BADGES = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
ANY_OPEN_BADGES = "https://purl.imsglobal.org/spec/ob/v3p0/context"  # all versions begin so
PYLD, OURS = "pyld.documentloader.frozen", "mastery_engine.out.badges.contexts"

# By address: the package and the file, and the SHA-256 of the document as ``_written`` has it.
BUNDLED: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        CREDENTIALS: (
            PYLD,
            "bundled/credentials-v2.jsonld",
            "bf6fd611e6773d58f649459a45dbbb81f94e8cfd058a756644cd5a4a882c4050",
        ),
        CREDENTIALS_1: (
            PYLD,
            "bundled/credentials-v1.jsonld",
            "778eb3a2ffad5df9773231da61b42c098e9849844873a6b5bf9be95c70d73df7",
        ),
        ED25519_2020: (
            PYLD,
            "bundled/security-ed25519-2020-v1.jsonld",
            "9ccf2b2a579a86c1fd167f4d1dfbdebc72dae44c7b4d592715cd621e1b5c6ba8",
        ),
        OPEN_BADGES: (OURS, "ob-v3p0-3.0.3.json", "7dc687659cf17c8e0bc60cfdc62f968ea1cbf1d8d7274a7c82488b2350ff50f1"),
        "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.2.json": (
            OURS,
            "ob-v3p0-3.0.2.json",
            "3b7ee3db2a81386e4369ea73ccc6b85f3cf463094e633466cee7e0b048cbeb35",
        ),
        "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.1.json": (
            OURS,
            "ob-v3p0-3.0.1.json",
            "a6196945628b9d02b7b60f57f0a8f6baa9771a202d1a9e378555fc95d71d6c33",
        ),
        "https://purl.imsglobal.org/spec/ob/v3p0/context.json": (
            OURS,
            "ob-v3p0.json",
            "ce6ab7f5729910f4fd7f35ec2cdb91f15446d1d2f886b6ccc1c1380b47fa8383",
        ),
        "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json": (
            OURS,
            "ob-v3p0-extensions.json",
            "f9767b4f07e2c92e6c084c34882f67cb335b13f0aface4b9bfc2ea08432a5892",
        ),
    }
)


class UnknownContext(InvalidInput):
    """A document names a context that does not come with the package."""


@cache
def context(address: str) -> Mapping[str, Any]:
    """The document at the address of a context. Raises UnknownContext for all others, whatever they are."""
    if address not in BUNDLED:
        raise UnknownContext(f"The context {address[:200]!r} does not come with the engine, which fetches none.")
    package, name, expected = BUNDLED[address]
    document: dict[str, Any] = json.loads(files(package).joinpath(name).read_bytes())
    if sha256(_written(document)).hexdigest() != expected:
        raise UnknownContext(f"The context {address} of this installation is not as it was published.")
    return document


def _written(document: Any) -> bytes:
    """The document without blanks, which another copy may have otherwise."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
