"""Which addresses a call may go to that others named: globally routable unicast alone (IANA's special registries)."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# Only where private addresses are allowed: the networks of a house and of a cluster.
PRIVATE = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("127.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv6Network("::1/128"),
    IPv6Network("fc00::/7"),
)
# Never: nothing that wants our messages is there, but a cloud's credentials are at two of them.
NEVER = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("168.63.129.16/32"),  # Azure's own server, at a public address
    IPv4Network("169.254.0.0/16"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.0.2.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("198.18.0.0/15"),
    IPv4Network("198.51.100.0/24"),
    IPv4Network("203.0.113.0/24"),
    IPv4Network("224.0.0.0/3"),  # multicast, reserved, broadcast
    IPv6Network("2001::/23"),  # Teredo and other protocols'
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),  # 6to4: an IPv4 address inside
    IPv6Network("3fff::/20"),
    IPv6Network("fd00:ec2::254/128"),  # the credentials of a machine at AWS
)
GLOBAL_V6 = IPv6Network("2000::/3")  # all that is given out; IPv4-mapped and NAT64 addresses lie outside


def may_be_called(address: str, *, allow_private: bool) -> bool:
    """Whether a call may go to an address, in digits; what is no address may not be called."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if _lies_in(parsed, NEVER):
        return False
    if _lies_in(parsed, PRIVATE):
        return allow_private
    return isinstance(parsed, IPv4Address) or (parsed.scope_id is None and parsed in GLOBAL_V6)


def _lies_in(address: IPv4Address | IPv6Address, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)
