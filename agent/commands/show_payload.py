"""`evidenced show-payload`: exactly what would leave this host, byte for byte."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from agent.choosing import check_entry, check_names, chosen_log, entry_number
from agent.configuration.leaving_out import ByHand, by_hand
from agent.observing import Target, now, observation, read_tables, sealed, secret_of
from agent.places import state_folder
from agent.signing.desk import disabled_tables
from agent.terminal import Progress
from evidence import statement
from evidence.predicates import Snapshot
from evidence.reader import LogInfo, StoreReader
from evidence.statement import Context
from program.errors import OK, WRONG_USE, CommandError

EPILOG = """\
Reads the host as `evidenced inventory` does, signs nothing and writes nothing, and prints each part behind a line that
begins with #: the statement, then every blob that it names. With --entry, the parts of an entry that is in the log.

Nothing else leaves the host: a pack adds the public key, hashes, signatures and text that holds no row."""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("--table", action="append", default=[], metavar="NAME", help="this table only; repeatable")
    parser.add_argument("--entry", metavar="N", help="show entry N of the log")
    parser.add_argument("--log", metavar="ID", help="of this log (see evidenced log); default: the newest")
    parser.add_argument("--config", metavar="FILE", help="configuration: tables and columns to leave out")
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")


def run(options: argparse.Namespace) -> int:
    """Print the parts."""
    state = state_folder(options.state)
    if options.entry is None:
        if options.log is not None:
            raise CommandError("--log: expected an entry of that log to show, found none; add --entry", WRONG_USE)
        parts = _fresh(state, by_hand(options.config, options.table))
    else:
        number = entry_number("--entry", options.entry)
        with StoreReader(state) as reader:
            parts = list(_stored(reader, chosen_log(reader, options.log), number, options.table))
    for title, content in parts:
        sys.stdout.buffer.write(f"# {title}, {len(content)} bytes\n".encode() + content)
        if content and not content.endswith(b"\n"):
            sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
    return OK


def _fresh(state: str, chosen: ByHand) -> list[tuple[str, bytes]]:
    """Return the parts of a snapshot as it would be signed now."""
    target = Target("/", secret_of(state))
    progress = Progress()
    try:
        collections = read_tables(target, chosen.tables, progress)
    finally:
        progress.clear()
    collected = [sealed(each, None) for each in collections]
    context = Context(
        origin="evidenced/0000000000000000/1", sequence=0, clock=now(), observation=observation(target, chosen.labels)
    )
    parts = [
        (
            "statement (origin and sequence are those of the log it is appended to)",
            statement.snapshot([*collected, *disabled_tables(chosen.disabled)], context),
        )
    ]
    for each in collected:
        parts += [(f"blob {name}", blob) for name, blob in each.blobs().items()]
        parts.append((f"header {each.name}", each.header or b""))
    return parts


def _stored(reader: StoreReader, log: LogInfo, number: int, wanted: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the parts of an entry that is in the log."""
    check_entry("--entry", number, log, reader)
    entry = reader.entry(log.id, number)
    if entry.statement is None or entry.payload is None:
        raise CommandError(f"entry {number} was lost to damage; only its leaf hash is kept")
    tables = entry.statement.predicate.tables if isinstance(entry.statement, Snapshot) else ()
    known = sorted(each.name for each in tables)
    check_names("--table", wanted, known, f"entry {number} holds {', '.join(known) or 'no table'}")
    yield "statement", entry.payload
    subjects = entry.statement.subjects()
    named = [(f"blob {name}", digest) for name, digest in sorted(subjects.items())]
    named += [(f"header {each.name}", each.header) for each in tables if each.header is not None]
    for title, digest in named:
        if wanted and title.split()[1].removesuffix(".gaps") not in wanted:
            continue
        blob = reader.blob(digest)
        yield (title, blob) if blob is not None else (f"{title} (pruned or lost; sha256 {digest})", b"")
