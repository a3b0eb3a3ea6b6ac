"""Imports the compiled parts of `evidenced.pyz`, which dlopen(3) can only take from a file.

Such a part is written to a file that has no name: in memory (memfd_create(2)) or, where nothing may be executed from
there, in a folder for temporary files (O_TMPFILE). It is loaded by its descriptor, so there is never a name that
could be left behind, however the process ends, or behind which others could put something else.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import tempfile
import zipimport
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from types import ModuleType

MFD_CLOEXEC, MFD_NOEXEC_SEAL = 0x1, 0x8
"""Source: memfd_create(2). The second is of Linux 6.3. What it forbids is execve(2) and not mmap(2), so a library may
have it; it must where the sysctl vm.memfd_noexec is 2, and without it the kernel writes a line into its log."""

FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/run")  # noqa: S108  the files made in them have no name
SAMPLE = "_cffi_backend"
"""A part that each Python has one of its own of."""
FIRST_FREE = 3
"""Lower descriptors are the standard streams, also while they are closed."""

Place = tuple[str, Callable[[], int]]
"""What a place is called, and what opens a file without a name in it."""


class NoPlaceError(Exception):
    """The compiled parts cannot be loaded: not on this machine, or by nobody who may do no more than this process."""


class CompiledParts(MetaPathFinder, Loader):
    """Finds compiled modules in the archive's folder of this machine, and loads them."""

    def __init__(self, archive: str, machine: str) -> None:
        self._archive = zipimport.zipimporter(archive)
        self._machine = machine
        self._chosen: Place | None = None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a compiled module of the archive in the form that this Python can load, None if there is none."""
        del path, target
        for suffix in EXTENSION_SUFFIXES:
            member = os.path.join(self._machine, *fullname.split(".")) + suffix
            try:
                content = self._archive.get_data(member)
            except OSError:
                continue
            return ModuleSpec(fullname, self, origin=member, loader_state=content)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module, loaded by way of the first place that code may be executed from.

        Raises: NoPlaceError, which is no ImportError: nobody is to take it for a module that may lack.
        """
        content, spec.loader_state = spec.loader_state, None
        tried = []
        for place in [self._chosen] if self._chosen else places():
            name, opened = place
            try:
                module = loaded(spec.name, content, opened)
            except (OSError, ImportError) as error:
                tried.append(f"{name} ({words(error)})")
                continue
            self._chosen = place
            return module
        raise NoPlaceError(
            f"expected a place that compiled code can be loaded from, found none: {', '.join(tried)}; "
            "name a folder of a file system that is not mounted noexec: TMPDIR=FOLDER"
        )

    def exec_module(self, module: ModuleType) -> None:
        """Run what initialises the module."""
        ExtensionFileLoader(module.__name__, "").exec_module(module)


def install(archive: str) -> None:
    """Have compiled modules imported from an archive. Raises: NoPlaceError if it has none for this Python."""
    machine = os.uname().machine
    parts = CompiledParts(archive, machine)
    if parts.find_spec(SAMPLE) is None:
        found = f"{machine} and a Python that loads {EXTENSION_SUFFIXES[0]}"
        raise NoPlaceError(f"expected x86_64 or aarch64, and CPython with glibc, found {found}; run it elsewhere")
    sys.meta_path.insert(0, parts)


def places() -> Iterator[Place]:
    """Yield the places in the order in which they are tried."""
    yield "memory", _in_memory
    named = os.environ.get("TMPDIR", "")
    for folder in dict.fromkeys((named, *FOLDERS) if os.path.isabs(named) else FOLDERS):
        yield folder, partial(_in_folder, folder)


def loaded(name: str, content: bytes, opened: Callable[[], int]) -> ModuleType:
    """Return a module loaded from a file without a name. Raises: OSError, ImportError.

    Its descriptor stays open: the linker tells libraries apart by the path, which the next one must not have again.
    """
    low = opened()
    try:
        fd = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE)
    finally:
        os.close(low)
    try:
        _write(fd, content)
        path = f"/proc/self/fd/{fd}"
        return ExtensionFileLoader(name, path).create_module(ModuleSpec(name, None, origin=path))
    except BaseException:
        os.close(fd)
        raise


def _write(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def _in_memory() -> int:
    try:
        return os.memfd_create("evidenced", MFD_CLOEXEC | MFD_NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:  # an older kernel
            raise
        return os.memfd_create("evidenced", MFD_CLOEXEC)


def _in_folder(folder: str) -> int:
    if os.statvfs(folder).f_flag & os.ST_NOEXEC:
        raise OSError(errno.EPERM, "mounted noexec")
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        return os.dup(file.fileno())


def words(error: OSError | ImportError) -> str:
    """Return why a place would not do, in the words of the system or the linker."""
    said = error.strerror if isinstance(error, OSError) else error.msg
    return (said or "an error").lower()
