"""A connection to the first address of a name that answers.

An address may be dead without saying so (an IPv6 route that leads nowhere), so each has its own few seconds, the
families take turns (RFC 8305, section 4), and the name itself is resolved under the same clock.
"""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Sequence

from agent.delivery.budget import BoundedSocket, Budget, Limits
from agent.delivery.errors import UnreachableError

_RESOLVER = "see how the name is spelled, and the resolver that /etc/resolv.conf names"

Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


def dial(host: str, port: int, where: str, limits: Limits) -> BoundedSocket:
    """Return a connected socket. Raises: UnreachableError naming what the last address said."""
    budget = Budget(where, Limits(total_s=limits.connect_all_s))
    expected = f"an address of {host} that answers within {limits.connect_all_s:g} s"
    found = "none"
    for family, address in in_turns(resolved(host, port, where, budget.wait_s(limits.connect_all_s))):
        connection = BoundedSocket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(_patience_s(budget, limits, where, expected, found))
            connection.connect(address)
        except OSError as error:
            connection.close()
            found = "none in time" if isinstance(error, TimeoutError) else (error.strerror or "an error").lower()
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise UnreachableError(where, expected, found, "see whether it runs, and routes and firewalls on the way")


def _patience_s(budget: Budget, limits: Limits, where: str, expected: str, found: str) -> float:
    try:
        return budget.wait_s(limits.connect_s)
    except UnreachableError:
        raise UnreachableError(where, expected, found) from None


def in_turns(addresses: Sequence[Address]) -> list[Address]:
    """Return the addresses with the families in turn, the resolver's first choice first."""
    families = {family: [each for each in addresses if each[0] == family] for family, _ in addresses}
    rounds = itertools.zip_longest(*families.values())
    return [each for one in rounds for each in one if each is not None]


def resolved(host: str, port: int, where: str, wait_s: float) -> list[Address]:
    """Return the addresses of a name; getaddrinfo(3) has no deadline, so it waits in a thread of its own.

    One that hangs is left behind: the process ends after its attempt.
    """
    found: list[Address] = []
    failed: list[str] = []

    def ask() -> None:
        try:
            for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                found.append((family, address))
        except (OSError, UnicodeError) as error:
            failed.append(str(getattr(error, "strerror", None) or "a name that cannot be asked for").lower())

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(wait_s)
    if asking.is_alive():
        raise UnreachableError(
            where, f"an address of {host} within {wait_s:g} s", "no answer about the name", _RESOLVER
        )
    if failed or not found:
        raise UnreachableError(where, f"an address of {host}", failed[0] if failed else "none", _RESOLVER)
    return found
