"""Credentials in memory."""

from mastery_engine.ports.credentials import Credential, in_order


class MemoryCredentials:
    """See ``CredentialStore``."""

    def __init__(self) -> None:
        self._credentials: dict[str, Credential] = {}

    async def put(self, credential: Credential) -> None:
        self._credentials[credential.key] = credential

    async def find(self, key: str) -> Credential | None:
        return self._credentials.get(key)

    async def remove(self, key: str) -> bool:
        return self._credentials.pop(key, None) is not None

    async def all(self) -> list[Credential]:
        return in_order(list(self._credentials.values()))
