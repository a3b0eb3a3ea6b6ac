"""Run a program that may not call memfd_create(2), as in a sandbox of systemd's.

    without_memfd.py PROGRAM ARGUMENT…

Source: seccomp(2), bpf(2).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}[os.uname().machine]
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050001  # the second with EPERM
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, MODE_FILTER = 22, 38, 2
FILTER = ((LOAD, 0, 0, 0), (EQUAL, 0, 1, MEMFD_CREATE), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW))


def main() -> None:
    """Give the right up and become the program."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in FILTER))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, MODE_FILTER, struct.pack("HxxxxxxP", len(FILTER), ctypes.addressof(code))
    ):
        raise OSError(ctypes.get_errno(), "expected a filter to be set")
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606  the program under test


if __name__ == "__main__":
    main()
