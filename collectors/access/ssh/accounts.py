"""The users whose keys are looked for: those of the host's own passwd, with the groups it knows them in."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from collectors.access.groups import GROUP, Group, group_on
from collectors.access.ssh.key_paths import Account
from collectors.access.ssh.match_block import Person
from collectors.access.users import PASSWD, User, user_on
from collectors.contract import Gap
from collectors.reading.host import Host
from collectors.reading.lines import each_line


class Memberships(msgspec.Struct):
    """Groups by what leads to them."""

    by_gid: dict[int, set[str]] = {}
    by_member: dict[str, set[str]] = {}
    names: set[str] = set()

    def of(self, user: User) -> frozenset[str]:
        """Return the groups that hold a user, his primary group among them."""
        primary = self.by_gid.get(user.gid, set()) if user.gid is not None else set()
        return frozenset(primary | self.by_member.get(user.name, set()))


def read_memberships(host: Host, gaps: list[Gap]) -> Memberships:
    """Return the host's own groups; what could not be read is added to `gaps`."""
    found = Memberships()
    for each in each_line(host, GROUP, group_on):
        if isinstance(each, Group) and each.source == "local":
            _add(found, each)
        elif isinstance(each, Gap):
            gaps.append(each)
    return found


def read_accounts(host: Host, memberships: Memberships) -> Iterator[Account | Gap]:
    """Yield each local user once: of two lines of one name the first counts, as for getpwnam(3)."""
    seen: set[str] = set()
    for each in each_line(host, PASSWD, user_on):
        if isinstance(each, Gap):
            yield each
        elif each.source == "local" and each.uid is not None and each.name not in seen:
            seen.add(each.name)
            yield Account(Person(each.name, memberships.of(each)), each.uid, each.home)


def _add(found: Memberships, group: Group) -> None:
    found.names.add(group.name)
    if group.gid is not None:
        found.by_gid.setdefault(group.gid, set()).add(group.name)
    for member in group.members:
        found.by_member.setdefault(member, set()).add(group.name)
