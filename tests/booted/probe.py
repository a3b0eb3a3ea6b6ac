"""Tries what a part of the service must not be able to do, and prints how each try ended: `done`, or the error's name.

Runs in the booted host, either in the cage of a unit or, to show that the tries are real, as root outside of it.

    probe.py TRY [ARGUMENT…]      one of: read, processes, handle, write, network, device, escape
"""

from __future__ import annotations

import base64
import ctypes
import errno
import json
import os
import signal
import socket
import stat
import struct
import sys
from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
AT_SYMLINK_FOLLOW, AT_FDCWD = 0x400, -100
HANDLE_BYTES = 128
PTRACE_ATTACH, CLONE_NEWUSER, CLONE_NEWNS = 16, 0x10000000, 0x00020000
PIDFD_OPEN, PIDFD_GETFD, PROCESS_VM_READV, IO_URING_SETUP = 434, 438, 310, 425  # x86-64, also where libc has no name
RING_PARAMETERS_BYTES = 120
API_FOLDERS = ("/proc", "/sys")
"""Made up by the kernel; /proc/sys and the like are tried by name."""


def outcome(act: Callable[..., object], *arguments: object) -> str:
    """Return how an act ended."""
    try:
        act(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "error")
    return "done"


def called(result: int) -> int:
    """Return what a C function returned; raise OSError if that is a failure."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def content(path: str) -> bytes:
    """Return the beginning of a file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(descriptor, 64)
    finally:
        os.close(descriptor)


def read(paths: list[str]) -> dict[str, str]:
    """Try to read files, and to list folders."""
    return {each: outcome(os.listdir if os.path.isdir(each) else content, each) for each in paths}


def processes(arguments: list[str]) -> dict[str, str]:
    """Try to get at a file, at memory and at descriptors through other processes: PATH PID…, and all it sees."""
    path, *given = arguments
    seen = [int(each) for each in os.listdir("/proc") if each.isdigit() and int(each) != os.getpid()]
    found = {}
    for pid in sorted({int(each) for each in given} | set(seen)):
        found[f"root {pid}"] = outcome(content, f"/proc/{pid}/root{path}")
        found[f"memory {pid}"] = outcome(memory, pid)
        found[f"environment {pid}"] = outcome(content, f"/proc/{pid}/environ")
        found[f"process_vm_readv {pid}"] = outcome(vm_read, pid)
        found[f"ptrace {pid}"] = outcome(attach, pid)
        found[f"descriptor {pid}"] = outcome(descriptor_of, pid)
        found[f"signal {pid}"] = outcome(os.kill, pid, 0)
    return found


def memory(pid: int) -> bytes:
    """Return bytes of a process's memory."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as file:
        start = next((int(line.split("-")[0], 16) for line in file if " r" in line), 0)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        file.seek(start)
        return file.read(16)


def vm_read(pid: int) -> None:
    """Read memory by process_vm_readv(2)."""
    buffer = ctypes.create_string_buffer(16)
    local = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 16)
    remote = (ctypes.c_void_p * 2)(0x1000, 16)  # EFAULT, where reading is allowed
    one, no_flags = ctypes.c_ulong(1), ctypes.c_ulong(0)
    called(LIBC.syscall(PROCESS_VM_READV, pid, local, one, remote, one, no_flags))


def attach(pid: int) -> None:
    """Attach to a process and let it go again."""
    called(LIBC.ptrace(PTRACE_ATTACH, pid, 0, 0))
    os.waitpid(pid, 0x40000000)  # __WALL
    LIBC.ptrace(17, pid, 0, 0)


def descriptor_of(pid: int) -> None:
    """Take a process's descriptor 0."""
    process = called(LIBC.syscall(PIDFD_OPEN, pid, 0))
    called(LIBC.syscall(PIDFD_GETFD, process, 0, 0))


def handle(arguments: list[str]) -> dict[str, str]:
    """Make a handle of a file (`make PATH`), or open one by it on a folder's file system (`open FOLDER HANDLE`)."""
    act, place, *rest = arguments
    raw = ctypes.create_string_buffer(8 + HANDLE_BYTES)
    if act == "make":
        struct.pack_into("I", raw, 0, HANDLE_BYTES)
        mount = ctypes.c_int()
        called(LIBC.name_to_handle_at(AT_FDCWD, place.encode(), raw, ctypes.byref(mount), AT_SYMLINK_FOLLOW))
        return {"handle": base64.b64encode(raw.raw).decode()}
    raw.raw = base64.b64decode(rest[0])
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    return {"handle": outcome(by_handle, folder, raw)}


def by_handle(folder: int, raw: object) -> None:
    """Open a file by its handle."""
    os.close(called(LIBC.open_by_handle_at(folder, raw, os.O_RDONLY)))


def write(arguments: list[str]) -> dict[str, str]:
    """Return every folder in which a file can be made; those of /proc and /sys as far as they are named."""
    found = {}
    for folder, below, _ in os.walk("/"):
        below[:] = [each for each in below if os.path.join(folder, each) not in API_FOLDERS]
        if outcome(make_in, folder) == "done":
            found[folder] = "done"
    for path in arguments:
        found[path] = outcome(opened, path, os.O_WRONLY)
    return found


def make_in(folder: str) -> None:
    """Make a file in a folder and remove it."""
    path = os.path.join(folder, f".probe-{os.getpid()}")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(path)


def network(_: list[str]) -> dict[str, str]:
    """Try every family of sockets that leads out of a process's own files, and to be called at one."""
    kinds = {
        "internet": (socket.AF_INET, socket.SOCK_STREAM),
        "internet datagram": (socket.AF_INET, socket.SOCK_DGRAM),
        "internet 6": (socket.AF_INET6, socket.SOCK_STREAM),
        "netlink": (socket.AF_NETLINK, socket.SOCK_RAW),
        "packet": (socket.AF_PACKET, socket.SOCK_RAW),
        "vsock": (socket.AF_VSOCK, socket.SOCK_STREAM),
    }
    found = {name: outcome(socket_of, *kind) for name, kind in kinds.items()}
    found["unix"] = outcome(socket_of, socket.AF_UNIX, socket.SOCK_STREAM)
    places: dict[str, tuple[int, int, tuple[str, int] | str]] = {
        "internet": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        "internet datagram": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        "internet 6": (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
        "unix": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0probe-{os.getpid()}"),
    }
    found |= {f"{name} bound": outcome(bound, *place) for name, place in places.items()}
    for name in ("internet", "internet 6"):
        found[f"{name} listening"] = outcome(listening, places[name][0])
    return found


def bound(family: int, kind: int, place: tuple[str, int] | str) -> None:
    """Give a socket an address at which it can be called."""
    with socket.socket(family, kind) as one:
        one.bind(place)


def listening(family: int) -> None:
    """Listen without bind(2): the kernel chooses a port."""
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.listen()


def device(arguments: list[str]) -> dict[str, str]:
    """Try to open device files, and to make one."""
    found = {each: outcome(opened, each, os.O_RDONLY | os.O_NONBLOCK) for each in arguments}
    at = os.path.join(os.environ.get("CACHE_DIRECTORY", "/run"), "device")
    found["mknod"] = outcome(os.mknod, at, stat.S_IFBLK | 0o600, os.makedev(7, 0))
    return found


def opened(path: str, flags: int) -> None:
    """Open a file."""
    os.close(os.open(path, flags))


def socket_of(family: int, kind: int) -> None:
    """Make a socket."""
    socket.socket(family, kind).close()


def escape(arguments: list[str]) -> dict[str, str]:
    """Try to become more: by identity, by capability, by namespace, by a way around the filter, by a program."""
    found = {
        "setuid": outcome(os.setuid, 0),
        "user namespace": outcome(lambda: called(LIBC.unshare(CLONE_NEWUSER))),
        "mount namespace": outcome(lambda: called(LIBC.unshare(CLONE_NEWNS))),
        "mount": outcome(lambda: called(LIBC.mount(b"none", b"/mnt", b"tmpfs", 0, None))),
        "chroot": outcome(os.chroot, "/"),
        "io_uring": outcome(ring),
    }
    for path in arguments:
        found[path] = outcome(run, path)
    return found


def ring() -> None:
    """Make an io_uring: what is put into it, sockets and all, is done without the system call filter being asked."""
    os.close(called(LIBC.syscall(IO_URING_SETUP, 1, ctypes.create_string_buffer(RING_PARAMETERS_BYTES))))


def run(path: str) -> None:
    """Run a program; raises what exec raised."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            os.execv(path, [path, "--version"])  # noqa: S606  that it cannot is what is tried
        except OSError as error:
            os.write(writing, bytes([error.errno or 255]))
        os._exit(127)
    os.close(writing)
    said = os.read(reading, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if said:
        raise OSError(said[0], os.strerror(said[0]))


TRIES = {each.__name__: each for each in (read, processes, handle, write, network, device, escape)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(TRIES[sys.argv[1]](sys.argv[2:])) + "\n")
