"""The parent's side of a collection: start a child, take its frames, judge them, and never wait for ever."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Sequence

from agent.collection.child import run_tables
from agent.collection.frames import FrameError, FrameParser, FrameWriter
from agent.collection.limits import SWEEP, Limits, confine
from agent.collection.receiver import Collection, Progress, Receiver
from agent.collection.validation import InvalidRowError
from collectors.contract import Table
from collectors.reading.host import Host

TICK_S = 0.5
"""How often progress is shown while nothing comes."""

KILL_WAIT_S = 5.0
"""How long a killed child may take to die; one stuck in the kernel (a hung mount) is left behind."""


def jobs(tables: Sequence[Table]) -> list[tuple[Sequence[Table], Limits]]:
    """Return what each child runs: a table of its own for all but those that share the sweep."""
    swept = [each for each in tables if each.sweep is not None]
    single: list[tuple[Sequence[Table], Limits]] = [((each,), Limits()) for each in tables if each.sweep is None]
    return [*single, (swept, SWEEP)] if swept else single


def collect(
    tables: Sequence[Table],
    open_host: Callable[[], Host],
    *,
    progress: Progress = lambda _name, _rows: None,
    plan: Callable[[Sequence[Table]], list[tuple[Sequence[Table], Limits]]] = jobs,
) -> list[Collection]:
    """Read tables in short-lived children and return a collection for each, in the order asked for.

    `open_host` is called in the child, so that nothing of the host is open in this process.
    """
    done: dict[str, Collection] = {}
    for group, limits in plan(tables):
        for each in _run_child(group, open_host, limits, progress):
            done[each.table.name] = each
    return [done[each.name] for each in tables]


def _run_child(
    tables: Sequence[Table], open_host: Callable[[], Host], limits: Limits, progress: Progress
) -> list[Collection]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_child(tables, open_host, limits, writing, parent)
    os.close(writing)
    receiver = Receiver(tables, limits, progress)
    try:
        ending = _receive(reading, receiver, limits)
    finally:
        os.close(reading)
        status = _end(child)
    return receiver.finish(ending or _died(status))


def _be_child(
    tables: Sequence[Table], open_host: Callable[[], Host], limits: Limits, writing: int, parent: int
) -> None:
    """Run the tables and leave at once: no exit handler or buffer of the parent runs twice."""
    code = 1
    try:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        confine(limits, parent)
        writer = FrameWriter(writing)
        run_tables(open_host(), tables, writer, limits)
        writer.flush()
        code = 0
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


def _end(child: int) -> int | None:
    """Reap the child, by force if it still lives; None if even that did not end it in time."""
    status = _wait(child, 0.0)
    if status is None:
        status = _wait(child, 0.2)  # it closed its pipe and is about to leave
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # workers of its own that outlived it, too
    if status is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        status = _wait(child, KILL_WAIT_S)
    return status


def _wait(child: int, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == child:
            return status
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.002)


def _died(status: int | None) -> str | None:
    """Return why a child whose stream ended well ended badly, or None."""
    if status is None:
        return "stuck in the kernel, most likely on a mount that does not answer; left behind"
    if os.WIFSIGNALED(status):
        number = signal.Signals(os.WTERMSIG(status))
        hint = {signal.SIGXCPU: "it used up its CPU time", signal.SIGKILL: "out of memory, or an operator"}
        return f"killed by {number.name}" + (f": {hint[number]}" if number in hint else "")
    return None if os.WEXITSTATUS(status) == 0 else "its process ended before its work was done"
