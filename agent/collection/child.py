"""Inside a collecting child: run tables one by one and send what they yield as frames."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
import traceback
from collections.abc import Sequence

import msgspec

from agent.collection.frames import FrameWriter
from agent.collection.limits import FAILURE_LIMIT, Limits
from collectors.contract import CollectionError, Gap, Row, Table, UnsupportedError
from collectors.reading.errors import ReadError
from collectors.reading.host import Host
from collectors.reading.sweep import Interest, prepare
from evidence.statement import Cost

Failure = tuple[str, str]
"""Coverage (`failed` or `unsupported`) and the reason, in words without paths, names or file text."""


def run_tables(host: Host, tables: Sequence[Table], writer: FrameWriter, limits: Limits) -> None:
    """Send the frames of each table in turn; one that breaks is `failed`, and the next is run.

    Tables that want the sweep share one walk, and the time it takes: whichever comes first is not the slow one.
    """
    walk = _Walk(host, [each.sweep for each in tables if each.sweep is not None])
    for table in tables:
        writer.send(b"T", table.name.encode())
        meter = _Meter(host)
        failure = _send_items(host, table, walk, writer, limits)
        if failure is not None:
            writer.send(b"F", msgspec.json.encode({"coverage": failure[0], "text": failure[1][:FAILURE_LIMIT]}))
        cost = meter.cost()
        writer.send(b"E", msgspec.json.encode(cost if table.sweep is None else walk.shared(cost)))


def _send_items(host: Host, table: Table, walk: _Walk, writer: FrameWriter, limits: Limits) -> Failure | None:
    """Send rows and gaps of one table; return why it failed, or None."""
    sent = _Sent(table.name, limits, writer)
    try:
        if table.sweep is not None:
            walk.prepare()
        for item in table.collect(host):
            sent.take(item)
    except UnsupportedError as error:
        return "unsupported", str(error) or "there is no such thing on this kind of host"
    except CollectionError as error:
        return "failed", str(error) or "what was found contradicts itself"
    except ReadError as error:  # the reason stands in a signed statement, where no path may; the path is in the gap
        sent.take(error.gap())
        return "failed", f"its source could not be read: {error.reason}"
    except MemoryError:
        return "failed", f"needed more than {limits.data_bytes >> 20} MiB of memory"
    except Exception as error:  # noqa: BLE001  a collector's defect costs its own table only
        print_defect(table.name, error)
        return "failed", f"defect in the collector: {type(error).__name__}"
    sent.close()
    return None


class _Sent:
    """Counts what has been sent, and drops with a count what is over a limit."""

    def __init__(self, table: str, limits: Limits, writer: FrameWriter) -> None:
        self.table, self.limits, self.writer = table, limits, writer
        self.rows = self.size = self.dropped = 0
        self._encode = msgspec.json.Encoder(order="sorted").encode

    def take(self, item: Row | Gap) -> None:
        line = self._encode(item)
        if isinstance(item, Gap):
            self.writer.line(b"G", line if len(line) <= self.limits.row_bytes else self._shortened(item))
            return
        full = self.rows >= self.limits.rows or self.size + len(line) + 1 > self.limits.table_bytes
        if full or len(line) > self.limits.row_bytes:
            self.dropped += 1
            return
        self.rows += 1
        self.size += len(line) + 1
        self.writer.line(b"R", line)

    def _shortened(self, gap: Gap) -> bytes:
        """Return a gap that keeps reason and count of one whose source or detail has no end."""
        detail = f"expected a gap of at most {self.limits.row_bytes >> 10} KiB, found a longer one"
        return self._encode(Gap(self.table, gap.reason, detail, count=gap.count))

    def close(self) -> None:
        """Say how many rows were dropped, if any."""
        if self.dropped:
            limits = self.limits
            detail = (
                f"expected at most {limits.rows} rows, {limits.table_bytes >> 20} MiB in all and "
                f"{limits.row_bytes >> 10} KiB each; {self.dropped} more were dropped"
            )
            self.writer.line(b"G", self._encode(Gap(self.table, "truncated", detail, count=self.dropped)))


class _Meter:
    """Measures one table: its own process and the workers it waited for."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._wall = time.monotonic()
        self._cpu = _cpu_s()
        self._files, self._bytes = host.cost.files, host.cost.bytes

    def cost(self) -> Cost:
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return Cost(
            wall_ms=round((time.monotonic() - self._wall) * 1000),
            cpu_ms=round((_cpu_s() - self._cpu) * 1000),
            peak_kib=max(own, workers),
            files=self._host.cost.files - self._files,
            bytes=self._host.cost.bytes - self._bytes,
        )


class _Walk:
    """The one walk of a child's tables, prepared by whichever of them comes first and paid for by all."""

    def __init__(self, host: Host, interests: Sequence[Interest]) -> None:
        self._host, self._interests = host, interests
        self._unpaid = len(interests)
        self._wall_ms = self._cpu_ms = 0
        self._inside = (0, 0)
        """Wall and CPU time of the walk that the table now read has on its own meter."""

    def prepare(self) -> None:
        """Walk, unless that is done."""
        if self._host.swept is None:
            meter = _Meter(self._host)
            prepare(self._host, self._interests)
            walk = meter.cost()
            self._inside = self._wall_ms, self._cpu_ms = walk.wall_ms, walk.cpu_ms

    def shared(self, cost: Cost) -> Cost:
        """Return a table's cost with its share of the walk; the shares add up to what the walk took."""
        (inside_wall_ms, inside_cpu_ms), self._inside = self._inside, (0, 0)
        wall_ms, cpu_ms = self._wall_ms // self._unpaid, self._cpu_ms // self._unpaid
        self._unpaid -= 1
        self._wall_ms -= wall_ms
        self._cpu_ms -= cpu_ms
        return msgspec.structs.replace(
            cost,
            wall_ms=max(0, cost.wall_ms - inside_wall_ms) + wall_ms,
            cpu_ms=max(0, cost.cpu_ms - inside_cpu_ms) + cpu_ms,
        )


def _cpu_s() -> float:
    return sum(
        each.ru_utime + each.ru_stime
        for each in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def print_defect(name: str, error: BaseException) -> None:
    """Print where a collector broke, for the journal; never the message, which may quote a file."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f'  File "{each.filename}", line {each.lineno}, in {each.name}' for each in frames]
    with contextlib.suppress(OSError):
        sys.stderr.write("\n".join((f"evidenced: defect in table {name}", *lines, type(error).__name__, "")))
