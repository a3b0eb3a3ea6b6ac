"""`evidenced _plan`: what the supervisor has to do, in lines, so that it need not read TOML or import a collector.

docs/configuration.md says what the settings mean, agent.daemon.plan what the lines do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from agent.configuration.digest import canonical, digest
from agent.configuration.loading import configured
from agent.configuration.model import Configuration
from collectors.catalogue import all_tables
from collectors.contract import Table
from program.errors import OK

PROCESSES = "CAP_SYS_PTRACE"
"""What a table needs that looks into processes; nothing else gets it."""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--config", metavar="FILE")


def run(options: argparse.Namespace) -> int:
    """Print the plan."""
    tables = all_tables()
    configuration = configured(options.config, tables)
    lines = plan(configuration, tables)
    sys.stdout.buffer.write("".join(f"{line}\n" for line in lines).encode())
    sys.stdout.buffer.flush()
    return OK


def plan(configuration: Configuration, tables: Sequence[Table]) -> Iterator[str]:
    """Yield the lines, without their newlines."""
    schedule = configuration.schedule
    pressure = schedule.pressure
    yield _line("config", digest(configuration))
    yield _line("heartbeat", schedule.heartbeat)
    yield _line("jitter", schedule.jitter)
    yield _line("pressure", pressure.cpu, pressure.memory, pressure.io)
    yield _line("pause_limit", schedule.pause_limit)
    yield _line("upload", int(bool(configuration.sinks)))
    yield _line("settings", canonical(configuration).decode())
    read = [each for each in tables if is_enabled(configuration, each)]
    for each in read:
        interval = interval_of(configuration, each)
        distance = min(interval, max(each.min_distance_s, schedule.minimum_distance))
        yield _line("table", each.name, interval, distance, _kind(each))
    if configuration.watches.enabled:
        yield from _watches(read)


def is_enabled(configuration: Configuration, table: Table) -> bool:
    """Return whether a table is to be read."""
    own = configuration.tables.get(table.name)
    return own is None or own.enabled


def interval_of(configuration: Configuration, table: Table) -> int:
    """Return how often a table is read, in seconds: what is configured, or else its own default."""
    own = configuration.tables.get(table.name)
    return table.interval_s if own is None or own.interval is None else own.interval


def _kind(table: Table) -> str:
    """Return what kind of child reads a table."""
    if PROCESSES in table.needs:
        return "process"
    return "file" if table.sweep is None else "sweep"


def _watches(tables: Sequence[Table]) -> Iterator[str]:
    """Yield one line for each path, with all tables that want it."""
    wanted: dict[str, list[str]] = {}
    for table in tables:
        for path in table.watches:
            wanted.setdefault(path, []).append(table.name)
    for path, names in sorted(wanted.items()):
        yield _line("watch", path, ",".join(names))


def _line(word: str, *fields: str | int) -> str:
    return "\t".join((word, *map(str, fields)))
