"""The parent's side of a collection: start a child, take its frames, judge them, and never wait for ever."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from agent.collection.child import print_defect, run_tables
from agent.collection.frames import FrameError, FrameParser, FrameWriter
from agent.collection.limits import SWEEP, Limits, confine
from agent.collection.receiver import NOTHING, Collection, Progress, Receiver
from agent.collection.validation import InvalidRowError
from collectors.contract import Table
from collectors.reading.host import Host
from evidence.statement import Cost

TICK_S = 0.5
"""How often progress is shown while nothing comes."""

LEAVE_WAIT_S = 0.2
"""How long a child that has closed its pipe may take to leave by itself."""

KILL_WAIT_S = 5.0
"""How long a killed child may take to die; one stuck in the kernel (a hung mount) is left behind."""

STOPPING = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))


def jobs(
    tables: Sequence[Table], usual: Limits | None = None, sweep: Limits = SWEEP
) -> list[tuple[Sequence[Table], Limits]]:
    """Return what each child runs: a table of its own for all but those that share the sweep."""
    limits = usual or Limits()
    swept = [each for each in tables if each.sweep is not None]
    single: list[tuple[Sequence[Table], Limits]] = [((each,), limits) for each in tables if each.sweep is None]
    return [*single, (swept, sweep)] if swept else single


def collect(
    tables: Sequence[Table],
    open_host: Callable[[], Host],
    *,
    progress: Progress = lambda _name, _rows: None,
    plan: Callable[[Sequence[Table]], list[tuple[Sequence[Table], Limits]]] = jobs,
    on_stuck: Callable[[Sequence[Table], int], None] = lambda _tables, _pid: None,
) -> list[Collection]:
    """Read tables in short-lived children and return a collection for each, in the order asked for.

    `open_host` is called in the child, so that nothing of the host is open in this process. `on_stuck` is told the
    number of a child that hangs in the kernel and is left behind, and the tables that it was to read.
    """
    done: dict[str, Collection] = {}
    for group, limits in plan(tables):
        for each in _run_child(group, open_host, limits, progress, on_stuck):
            done[each.table.name] = each
    return [done[each.name] for each in tables]


def _run_child(
    tables: Sequence[Table],
    open_host: Callable[[], Host],
    limits: Limits,
    progress: Progress,
    on_stuck: Callable[[Sequence[Table], int], None],
) -> list[Collection]:
    receiver = Receiver(tables, limits, progress)
    began = time.monotonic()
    with _scratch() as folder:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # a signal must find one of the two, never both
        reading, writing = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _be_child(tables, open_host, limits, writing, parent, folder)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(writing)
            ending = _receive(reading, receiver, limits)
        finally:
            os.close(reading)
            status, used = _end(child)
            if status is None:
                on_stuck(tables, child)
    return receiver.finish(ending or _died(status), _spent(time.monotonic() - began, used))


@contextlib.contextmanager
def _scratch() -> Iterator[str | None]:
    """Give a private folder for the child's copies, which is gone afterwards however the child ended.

    None if none can be made: then only a table that needs a copy fails.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="evidenced-", ignore_cleanup_errors=True)
    except OSError:
        yield None
        return
    with folder as path:
        yield path


def _be_child(
    tables: Sequence[Table],
    open_host: Callable[[], Host],
    limits: Limits,
    writing: int,
    parent: int,
    folder: str | None,
) -> None:
    """Run the tables and leave at once: no exit handler or buffer of the parent runs twice."""
    code = 1
    try:
        for each in STOPPING:
            signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        confine(limits, parent)
        if folder is not None:
            tempfile.tempdir = folder
        writer = FrameWriter(writing)
        run_tables(open_host(), tables, writer, limits)
        writer.flush()
        code = 0
    except BaseException as error:  # noqa: BLE001  nothing of a child may reach the code of its parent
        print_defect(", ".join(each.name for each in tables), error)
    finally:
        os._exit(code)


def _receive(reading: int, receiver: Receiver, limits: Limits) -> str | None:
    """Feed frames until the child closes its end; return why it had to be stopped, or None."""
    poller, parser = select.poll(), FrameParser()
    poller.register(reading, select.POLLIN | select.POLLHUP)
    deadline = time.monotonic() + limits.wall_s
    try:
        while (left := deadline - time.monotonic()) > 0:
            if not poller.poll(min(left, TICK_S) * 1000):
                receiver.tick()
                continue
            data = os.read(reading, 1 << 20)
            if not data:
                parser.finish()
                return None
            for kind, payload in parser.feed(data):
                receiver.take(kind, payload)
    except (FrameError, InvalidRowError) as error:
        return f"defect in the collector: {error}"
    return f"timed out after {limits.wall_s:g} s"


def _end(child: int) -> tuple[int | None, resource.struct_rusage | None]:
    """Kill the child and the workers that outlived it; return its wait status and what it used, None if it is stuck.

    It is reaped last: until then no other process can be given its number.
    """
    _ended(child, LEAVE_WAIT_S)
    os.kill(child, signal.SIGKILL)  # it may not have a group of its own yet
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    if not _ended(child, KILL_WAIT_S):
        return None, None
    _, status, used = os.wait4(child, 0)
    return status, used


def _ended(child: int, seconds: float) -> bool:
    """Return whether the child ended in time; it stays unreaped."""
    deadline = time.monotonic() + seconds
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.002)
    return True


def _spent(wall_s: float, used: resource.struct_rusage | None) -> Cost:
    """Return what a whole child took, as its parent sees it."""
    cpu_s = 0.0 if used is None else used.ru_utime + used.ru_stime
    return msgspec.structs.replace(
        NOTHING,
        wall_ms=round(wall_s * 1000),
        cpu_ms=round(cpu_s * 1000),
        peak_kib=0 if used is None else used.ru_maxrss,
    )


def _died(status: int | None) -> str | None:
    """Return why a child whose stream ended well ended badly, or None."""
    if status is None:
        return "stuck in the kernel, most likely on a mount that does not answer; left behind"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        hint: dict[int, str] = {
            signal.SIGXCPU: "it used up its CPU time",
            signal.SIGKILL: "out of CPU time or memory, or an operator",
        }
        return f"killed by {name}" + (f": {hint[number]}" if number in hint else "")
    return None if os.WEXITSTATUS(status) == 0 else "its process ended before its work was done"
