"""Who issues badges: the installation, under the DID of its public address (did:web), with all keys that signed."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from mastery_engine.errors import Conflict

DID_CONTEXTS = ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"]
METHOD = "did:web:"


NO_ADDRESS = (
    "Badges have no address yet: whoever runs this service must set PUBLIC_URL to its address as others see it, as in "
    "https://mastery.school.example."
)


class Issuer(msgspec.Struct, frozen=True):
    """The installation at an address, which has no slash at its end."""

    address: str

    @property
    def did(self) -> str:
        """``did:web:school.example``; a port and a path are part of it."""
        url = urlsplit(self.address)
        path = "".join(f":{quote(part, safe='')}" for part in url.path.split("/") if part)
        return f"{METHOD}{quote(url.netloc, safe='')}{path}"

    @property
    def name(self) -> str:
        return urlsplit(self.address).netloc

    def method(self, key: str) -> str:
        """The address of a key, which is a Multikey."""
        return f"{self.did}#{key}"

    def badge(self, badge_id: str) -> str:
        return f"{self.address}/badges/{badge_id}"

    def status_list(self, number: int) -> str:
        return f"{self.address}/badges/status/{number}"

    def document(self, keys: Sequence[str]) -> dict[str, Any]:
        """The DID document: all of these Multikeys, by each of which badges are signed."""
        methods = [self.method(key) for key in keys]
        return {
            "@context": DID_CONTEXTS,
            "id": self.did,
            "verificationMethod": [
                {"id": method, "type": "Multikey", "controller": self.did, "publicKeyMultibase": key}
                for method, key in zip(methods, keys, strict=True)
            ],
            "assertionMethod": methods,
        }


def issuer_at(address: str | None) -> Callable[[], Issuer]:
    """Gives this installation as an issuer; raises Conflict where its address is not set."""

    def issuer() -> Issuer:
        if address is None:
            raise Conflict(NO_ADDRESS)
        return Issuer(address)

    return issuer


def document_address(did: str) -> str:
    """Where the document of a did:web stands. Raises ValueError for another DID."""
    host, *path = did.removeprefix(METHOD).split(":")
    if not did.startswith(METHOD) or not host:
        raise ValueError("It is no did:web.")
    folder = "".join(f"/{unquote(part)}" for part in path) if path else "/.well-known"
    return f"https://{unquote(host)}{folder}/did.json"
