"""Who is on the other end of the signer's socket, by the kernel's word, and what each may ask.

SO_PEERCRED and SO_PEERGROUPS tell who connected; see unix(7) and socket(7).
"""

from __future__ import annotations

import enum
import os
import pwd
import socket
import struct

import msgspec

from agent import users
from agent.signing.protocol import (
    Batches,
    Check,
    Delivered,
    Event,
    Flush,
    Hello,
    Logs,
    Prove,
    Question,
    Record,
    Refused,
    Settings,
    Snapshot,
)

SO_PEERGROUPS = 59  # asm-generic/socket.h; Linux 4.13
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_GROUPS_BYTES = 1024
"""All that Python's getsockopt takes."""


class Role(enum.Enum):
    """What somebody is to the signer."""

    OWNER = "root or the signer's own user"
    COLLECTOR = "the user that collects"
    UPLOADER = "the user that delivers"
    RECORDER = "a member of the group that records"
    STRANGER = "nobody"


MAY: dict[Role, tuple[type[Question], ...]] = {
    Role.OWNER: (Question,),
    Role.COLLECTOR: (Hello, Snapshot, Event, Check, Batches, Flush),
    Role.UPLOADER: (Delivered, Refused, Prove, Logs, Batches, Flush, Settings),
    Role.RECORDER: (Record,),
    Role.STRANGER: (),
}


class Peer(msgspec.Struct, frozen=True):
    """A process as it was when it connected."""

    uid: int
    groups: frozenset[int]


class Doorkeeper(msgspec.Struct, frozen=True):
    """Knows who is who; a uid is None where this host has no such user."""

    owner: int
    collector: int | None = None
    uploader: int | None = None
    recorders: int | None = None

    @classmethod
    def of_this_process(cls) -> Doorkeeper:
        """Return whom to let in: the service's users if we are its signer, else nobody but root and ourselves."""
        if os.geteuid() != users.user_id(users.SIGNER):
            return cls(os.geteuid())
        return cls(
            os.geteuid(),
            collector=users.user_id(users.COLLECTOR),
            uploader=users.user_id(users.UPLOADER),
            recorders=users.group_id(users.RECORDERS),
        )

    def role(self, peer: Peer) -> Role:
        """Return what a peer is; a user of the service is that alone, whatever its groups."""
        if peer.uid in (0, self.owner):
            return Role.OWNER
        if peer.uid == self.collector:
            return Role.COLLECTOR
        if peer.uid == self.uploader:
            return Role.UPLOADER
        return Role.RECORDER if self.recorders in peer.groups else Role.STRANGER


def may(role: Role, question: Question) -> bool:
    """Return whether somebody of this role may ask this.

    Whom to believe an acknowledgement, only the owner says; from where a hub lacks entries, not who reads the host.
    """
    if isinstance(question, Event) and question.kind == "enrolled" and role is not Role.OWNER:
        return False
    if isinstance(question, Batches) and question.log is not None and role is Role.COLLECTOR:
        return False
    return isinstance(question, MAY[role])


def peer_of(connection: socket.socket) -> Peer:
    """Return who connected. Raises: OSError."""
    _, uid, gid = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _GROUPS_BYTES)
        others = struct.unpack(f"{len(data) // 4}I", data)
    except OSError:  # an older kernel, or more groups than fit: what the user database says
        others = _groups_by_name(uid, gid)
    return Peer(uid, frozenset((gid, *others)))


def _groups_by_name(uid: int, gid: int) -> tuple[int, ...]:
    try:
        return tuple(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid))
    except KeyError:
        return ()
