"""The security.capability attribute, and its text as getcap(8) prints it; capabilities(7), cap_to_text(3)."""

from __future__ import annotations

import struct
from collections import Counter

import msgspec

from collectors.contract import MalformedError

NAMES = tuple(  # bit N of a set is the Nth name
    """
cap_chown cap_dac_override cap_dac_read_search cap_fowner cap_fsetid cap_kill cap_setgid cap_setuid
cap_setpcap cap_linux_immutable cap_net_bind_service cap_net_broadcast cap_net_admin cap_net_raw
cap_ipc_lock cap_ipc_owner cap_sys_module cap_sys_rawio cap_sys_chroot cap_sys_ptrace cap_sys_pacct
cap_sys_admin cap_sys_boot cap_sys_nice cap_sys_resource cap_sys_time cap_sys_tty_config cap_mknod
cap_lease cap_audit_write cap_audit_control cap_setfcap cap_mac_override cap_mac_admin cap_syslog
cap_wake_alarm cap_block_suspend cap_audit_read cap_perfmon cap_bpf cap_checkpoint_restore
""".split()  # noqa: SIM905  41 names in quotes are harder to compare with the header file
)
_EFFECTIVE, _PERMITTED, _INHERITABLE = 1, 2, 4  # as cap_to_text(3) orders states
_REVISION_MASK, _EFFECTIVE_FLAG = 0xFF000000, 0x000001
_PAIRS = {1: 1, 2: 2, 3: 2}
"""Pairs of 32-bit words (permitted, inheritable) by revision; linux/capability.h."""
_BITS = 64


class FileCapabilities(msgspec.Struct, frozen=True):
    """What the attribute grants to whoever executes the file. Sets are bit masks, bit N for capability N."""

    version: int
    permitted: int
    inheritable: int
    effective: bool
    root_id: int | None
    """The uid that is root in the user namespace it counts in (version 3); None: it counts everywhere."""

    @property
    def unknown(self) -> tuple[int, ...]:
        """Return the numbers of capabilities that have no name here."""
        return tuple(number for number in range(len(NAMES), _BITS) if self._state(number))

    def text(self) -> str:
        """Return the sets as getcap(8) of libcap 2.41 or later prints them, such as `cap_net_raw=ep`.

        The state that most named capabilities share comes first, after `=`; the others differ from it by
        `+` and `-`. If that state is empty it is left out and the first others have `=` themselves.
        """
        states = [self._state(number) for number in range(_BITS)]
        named = Counter(states[: len(NAMES)])
        base = max(range(8), key=lambda state: (named[state], -state))
        groups = [
            _group(_holders(states[: len(NAMES)], state), base, state)
            for state in range(7, -1, -1)
            if state != base and named[state]
        ]
        first = [f"={_letters(base)}"]
        if base == 0 and groups:
            first = [groups.pop(0).replace("+", "=")]
        for state in range(7, 0, -1):
            numbers = [str(number) for number in self.unknown if states[number] == state]
            if numbers:
                groups.append(f"{','.join(numbers)}+{_letters(state)}")
        return " ".join(first + groups)

    def _state(self, number: int) -> int:
        bit = 1 << number
        state = (_PERMITTED if self.permitted & bit else 0) | (_INHERITABLE if self.inheritable & bit else 0)
        return state | _EFFECTIVE if state and self.effective else state


def parse_capability(data: bytes) -> FileCapabilities:
    """Return what a security.capability attribute says.

    Shape: little-endian 32-bit words: revision and flags, one pair of sets (revision 1) or two (2 and 3), and
    in revision 3 the root uid of a user namespace.
    Raises: MalformedError on another revision or length.
    Source: capabilities(7), "File capability extended attribute versioning"; linux/capability.h.
    """
    if len(data) < 4:  # noqa: PLR2004  the first word
        raise MalformedError("at least 4 bytes", str(len(data)))
    (magic,) = struct.unpack_from("<I", data)
    version = (magic & _REVISION_MASK) >> 24
    if version not in _PAIRS:
        raise MalformedError("revision 1, 2 or 3", str(version))
    pairs = _PAIRS[version]
    length = 4 + 8 * pairs + (4 if version == 3 else 0)  # noqa: PLR2004
    if len(data) != length:
        raise MalformedError(f"{length} bytes in revision {version}", str(len(data)))
    words = struct.unpack_from(f"<{2 * pairs}I", data, 4)
    return FileCapabilities(
        version=version,
        permitted=sum(word << 32 * at for at, word in enumerate(words[::2])),
        inheritable=sum(word << 32 * at for at, word in enumerate(words[1::2])),
        effective=bool(magic & _EFFECTIVE_FLAG),
        root_id=struct.unpack_from("<I", data, 20)[0] if version == 3 else None,  # noqa: PLR2004
    )


def _holders(states: list[int], state: int) -> str:
    return ",".join(NAMES[number] for number, each in enumerate(states) if each == state)


def _group(holders: str, base: int, state: int) -> str:
    """Return capabilities and how their state differs from the base, which it does."""
    more, less = state & ~base, base & ~state
    return holders + (f"+{_letters(more)}" if more else "") + (f"-{_letters(less)}" if less else "")


def _letters(state: int) -> str:
    pairs = ((_EFFECTIVE, "e"), (_INHERITABLE, "i"), (_PERMITTED, "p"))
    return "".join(letter for bit, letter in pairs if state & bit)
