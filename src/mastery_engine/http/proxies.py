"""Proxies in front of the service: whose ``X-Forwarded-For`` is believed, and what it says of the caller."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from cachetools import LRUCache

from mastery_engine.settings import Network

REMEMBERED = 4_096
# By which a call shows that it came through a proxy, beside everything that begins with X-Forwarded-.
HEADERS = frozenset(
    {"forwarded", "x-forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"}
)


class Proxies:
    """The addresses in FORWARDED_ALLOW_IPS."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks
        self._are_all = any(network.prefixlen == 0 for network in networks)
        self._known: LRUCache[str, bool] = LRUCache(REMEMBERED)

    def __contains__(self, address: str) -> bool:
        """Whether an address, as text, is that of a proxy."""
        known = self._known.get(address)
        if known is None:
            ip = parsed(address)
            known = self._known[address] = ip is not None and any(ip in network for network in self._networks)
        return known

    def caller_of(self, peer: str, forwarded_for: str) -> str:
        """The caller's address, for a connection from ``peer`` with this ``X-Forwarded-For``.

        Each proxy adds the address that called it at the end, so the caller is the last address that is no proxy's;
        what stands before it was sent by the caller and may say anything. If every address counts as a proxy (``*``),
        the last one is the caller. Nothing is believed of a peer that is no proxy, nor beyond a part that is not an
        address.
        """
        caller = peer
        while forwarded_for and caller in self:
            forwarded_for, _, last = forwarded_for.rpartition(",")
            ip = parsed(without_port(last.strip()))
            if ip is None:
                break
            caller = str(ip)
            if self._are_all:
                break
        return caller


def parsed(address: str) -> IPv4Address | IPv6Address | None:
    """The address in a text, without an IPv6 zone; None if it is none. One of IPv4 inside IPv6 is an IPv4 address."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip


def forwarding_header(names: Iterable[str]) -> str | None:
    """The first header, of these in lower case, that only proxies add; None if there is none."""
    return next((name for name in names if name.startswith("x-forwarded-") or name in HEADERS), None)


def without_port(address: str) -> str:
    """``192.0.2.1:80`` and ``[2001:db8::1]:80`` without the port."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
