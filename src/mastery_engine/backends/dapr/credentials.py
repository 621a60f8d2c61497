"""Credentials in Dapr's state: one value for each, and which there are."""

from base64 import b64decode, b64encode

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Value, Write
from mastery_engine.backends.dapr.index import DaprIndex
from mastery_engine.ports.credentials import Credential, in_order, pack_credential, unpack_credential


class DaprCredentials:
    """See ``CredentialStore``."""

    def __init__(self, state: DaprState) -> None:
        self._state = state
        self._listed = DaprIndex(state, "credentials")

    async def put(self, credential: Credential) -> None:
        """It is listed before its value is written: none is ever missing from the list."""
        await self._listed.add([credential.key])
        packed = b64encode(pack_credential(credential)).decode()
        await self._state.change([Write(keys.credential(credential.key), packed, None, None)])

    async def find(self, key: str) -> Credential | None:
        (value,) = await self._state.read([keys.credential(key)])
        return _credential(value)

    async def remove(self, key: str) -> bool:
        known = await self.find(key) is not None
        await self._state.change([], [keys.credential(key)])
        await self._listed.discard([key])
        return known

    async def all(self) -> list[Credential]:
        listed = sorted(await self._listed.members())
        found = map(_credential, await self._state.read([keys.credential(key) for key in listed]))
        return in_order([one for one in found if one is not None])


def _credential(value: Value | None) -> Credential | None:
    return None if value is None else unpack_credential(b64decode(value.data))
