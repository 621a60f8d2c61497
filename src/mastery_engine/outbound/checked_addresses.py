"""The addresses of a server, if a call may go to them."""

from ipaddress import ip_address

from mastery_engine.errors import InvalidInput
from mastery_engine.outbound.addresses import may_be_called
from mastery_engine.outbound.name_lookup import Lookup, NameLookup


class CheckedAddresses:
    """The addresses of hosts, if they may be called."""

    def __init__(self, lookup: Lookup, setting: str, *, allow_private: bool) -> None:
        self._names = NameLookup(lookup)
        self._setting = setting
        self._allow_private = allow_private

    async def of(self, host: str) -> list[str]:
        """The addresses of a host, all of which may be called.

        Raises InvalidInput if one may not, even if others may, OSError if it has none.
        """
        found = [host] if _is_address(host) else list(await self._names.addresses(host))
        if not found:
            raise OSError("the name has no address")
        if not all(may_be_called(address, allow_private=self._allow_private) for address in found):
            more = "" if self._allow_private else f" Only with {self._setting}=true private ones are called."
            raise InvalidInput("The URL leads to an address that is not a public one." + more, field="url")
        return found


def _is_address(host: str) -> bool:
    """Whether a host is an address in the usual digits; whatever else resolvers take for one is looked up."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
