"""`evidenced log`: entries and checkpoints as they stand, and proofs that an entry is among them."""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Iterator

from agent.choosing import NUMBER_DIGITS, check_entry, chosen_log, entry_number
from agent.event_words import in_words
from agent.places import state_folder
from agent.terminal import counted
from evidence import tree
from evidence.predicates import Snapshot
from evidence.reader import LogInfo, StoredEntry, StoreReader
from program.errors import OK, CommandError
from program.text import columns, printable

EPILOG = """\
show N    print the statement of entry N as it was signed, and its leaf hash
prove N   print the proof (RFC 6962) that entry N is in the signed tree, checked before it is printed

A log ends with its key; --log names an older one (see the list)."""

NAMED = 3
"""Tables of a snapshot that the list names: what a change was, mostly."""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("action", nargs="?", choices=("show", "prove"))
    parser.add_argument("number", nargs="?", metavar="N", help="sequence number of an entry")
    parser.add_argument("--log", metavar="ID", help="log to look into; default: the newest")
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    parser.add_argument(
        "--last", type=_last, default=20, metavar="K", help="list the last K entries (default 20, 0: all)"
    )
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")


def run(options: argparse.Namespace) -> int:
    """List, show or prove."""
    number = None if options.action is None else entry_number(options.action, options.number)
    with StoreReader(state_folder(options.state)) as reader:
        log = chosen_log(reader, options.log)
        if number is None:
            lines = _listing(reader, log, options)
        else:
            check_entry(options.action, number, log, reader)
            lines = (_shown if options.action == "show" else _proved)(reader, log, number, as_json=options.json)
        for line in lines:
            print(line)
    return OK


def _last(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS):
        raise argparse.ArgumentTypeError(f"expected how many entries, found {text!r}")
    return int(text)


def _listing(reader: StoreReader, log: LogInfo, options: argparse.Namespace) -> Iterator[str]:
    first = max(0, log.size - options.last) if options.last > 0 else 0
    entries = reader.entries(log.id, first, log.size)
    if options.json:
        for each in entries:
            yield json.dumps(_facts(each), sort_keys=True)
        return
    for each_log in reader.logs():
        yield f"log {each_log.id}: {counted(each_log.size, 'entry')}, key {each_log.keyid}"
    checkpoint = reader.signed_size(log.id)
    yield f"signed size {log.size}, root {base64.b64encode(checkpoint.root).decode()}"
    yield ""
    rows = [("entry", "time", "kind", "says")]
    rows += [(str(each.sequence), each.wall or "-", _kind(each), _says(each)) for each in entries]
    yield from columns(rows, right=frozenset((0,)))


def _kind(entry: StoredEntry) -> str:
    statement = entry.statement
    if statement is None:
        return "lost"
    return "snapshot" if isinstance(statement, Snapshot) else statement.kind


def _says(entry: StoredEntry) -> str:
    statement = entry.statement
    if statement is None:
        return "damage has taken it; its leaf hash is kept"
    if not isinstance(statement, Snapshot):
        return printable(in_words(statement.predicate.event))
    tables = statement.predicate.tables
    rows, gaps = sum(each.rows for each in tables), sum(each.gaps for each in tables)
    failed = sum(each.coverage == "failed" for each in tables)
    text = ", ".join((counted(len(tables), "table"), counted(rows, "row"), counted(gaps, "gap")))
    text += f", {failed} failed" if failed else ""
    return text + (f": {', '.join(each.name for each in tables)}" if len(tables) <= NAMED else "")


def _facts(entry: StoredEntry) -> dict[str, object]:
    return {
        "kind": _kind(entry),
        "leaf": entry.leaf.hex(),
        "sequence": entry.sequence,
        "wall": entry.wall,
    }


def _shown(reader: StoreReader, log: LogInfo, number: int, *, as_json: bool) -> Iterator[str]:
    entry = reader.entry(log.id, number)
    if entry.payload is None:
        raise CommandError(f"entry {number} of {log.id} was lost to damage; its leaf hash is {entry.leaf.hex()}")
    if as_json:
        yield entry.payload.decode()
        return
    yield f"# entry {number} of {log.origin}, leaf {entry.leaf.hex()}"
    yield json.dumps(json.loads(entry.payload), indent=2)


def _proved(reader: StoreReader, log: LogInfo, number: int, *, as_json: bool) -> Iterator[str]:
    proof = reader.inclusion(log.id, number)
    checkpoint = proof.checkpoint
    tree.verify_inclusion(proof.leaf, number, checkpoint.size, proof.hashes, checkpoint.root)
    hashes = [base64.b64encode(each).decode() for each in proof.hashes]
    root = base64.b64encode(checkpoint.root).decode()
    if as_json:
        facts = {
            "hashes": hashes,
            "leaf": proof.leaf.hex(),
            "origin": log.origin,
            "root": root,
            "sequence": number,
            "size": checkpoint.size,
        }
        yield json.dumps(facts, sort_keys=True)
        return
    yield f"entry {number} is in the tree of {counted(checkpoint.size, 'entry')} that {log.keyid} signed"
    yield f"leaf  {proof.leaf.hex()}"
    yield from (f"      {each}" for each in hashes)
    yield f"root  {root}"
