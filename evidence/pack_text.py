"""What stands in a pack for people: the page that explains it, and a summary. Neither proves anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from evidence.pack_blobs import BlobReport
from evidence.pack_range import Found, Part
from evidence.predicates import Snapshot, TableState

README = """\
What this is
============

Evidence that a Linux server wrote about itself, signed on that server as it was written. This page and everything
in reports/ prove nothing by themselves; the signed parts do. The format is documented as "evidenced format 1".

Check it with one command
-------------------------

    python3 verify.py PACK.tar.gz --key FINGERPRINT

PACK.tar.gz is the file this page came in, or the folder you unpacked it into. FINGERPRINT is what the owner of the
server gave you, and not together with this pack. verify.py is one file of plain Python (3.8 or later) that you may
read first, or get elsewhere: it opens no connection and writes nothing.

Check it without any program of ours
------------------------------------

Unpack it into an empty folder and go there; openssl 3 and OpenSSH 8.1 or later will do. For each log in the pack:
{commands}
The first command prints the fingerprint of the log's key: compare it with the one you were given. The others check
that this key signed checkpoint.txt, which holds the log's name, how many entries it has, and the root hash over all
of them (RFC 6962, over the 32-byte hashes in "leaves"). Each line of entries/ is a DSSE envelope around an in-toto
statement; the RFC 6962 leaf hash of its payload stands in "leaves" at the statement's sequence number. A blob is
named in the statements by the SHA-256 of its content.

What it does not prove
----------------------

That the server told the truth. Whoever controlled it could make it write anything from then on; but what was
signed before cannot be changed, left out or reordered without being noticed.
"""

COMMANDS = """
    ssh-keygen -l -f keys/{log}.pub
    openssl pkeyutl -verify -rawin -pubin -inkey keys/{log}.pem -in {log}/checkpoint.txt -sigfile {log}/checkpoint.sig
    sed 's/^/agent /' keys/{log}.pub > ../allowed_signers
    ssh-keygen -Y verify -f ../allowed_signers -I agent -n checkpoint@evidenced -s {log}/checkpoint.sshsig < {log}/checkpoint.txt
"""  # noqa: E501  a command is copied as one line


def readme(parts: Sequence[Part]) -> str:
    """Return the page, with the commands for each log of the pack."""
    return README.format(commands="".join(COMMANDS.format(log=part.log.id) for part in parts))


class _TableLine(msgspec.Struct):
    """What the main range says about one table of one host."""

    reads: int = 0
    last: TableState | None = None
    wall: str = ""


class Summary(msgspec.Struct):
    """Counts for the report, gathered while entries are written."""

    tables: dict[tuple[str, str, str], _TableLine] = {}
    events: dict[str, int] = {}

    def add(self, found: Found) -> None:
        """Count one entry of the main range."""
        if not isinstance(found.statement, Snapshot):
            self.events[found.statement.kind] = self.events.get(found.statement.kind, 0) + 1
            return
        predicate = found.statement.predicate
        for table in predicate.tables:
            line = self.tables.setdefault((predicate.host.name, predicate.host.observed, table.name), _TableLine())
            line.reads, line.last, line.wall = line.reads + 1, table, predicate.clock.wall

    def text(self, since: str, until: str, parts: Sequence[Part], blobs: BlobReport) -> str:
        """Return the report."""
        lines = [
            "A summary for people. It proves nothing: what is signed does, and verify.py checks that.",
            "",
            f"Period   {since} up to, not including, {until}",
            *(f"Log      {_log_line(part)}" for part in parts),
            f"Blobs    {blobs.written}, missing {len(blobs.missing)}, damaged {len(blobs.damaged)}",
            *(f"Events   {shown(kind)}: {count}" for kind, count in sorted(self.events.items())),
            *self._tables(),
        ]
        return "\n".join(lines) + "\n"

    def _tables(self) -> Iterator[str]:
        before = None
        for (host, observed, name), line in sorted(self.tables.items()):
            if (host, observed) != before:
                before = (host, observed)
                yield ""
                yield f"Host     {shown(host)}" + ("" if observed == "live" else " (an image, read by this host)")
                yield f"{'table':<24} {'coverage':<12} {'rows':>8} {'gaps':>6} {'read':>6}  last"
            if line.last is not None:
                last = line.last
                facts = f"{last.coverage:<12} {last.rows:>8} {last.gaps:>6} {line.reads:>6}  {line.wall}"
                yield f"{name:<24} {facts}"


def _log_line(part: Part) -> str:
    last = part.first + part.count - 1
    beside = f" and {len(part.extras)} beside them" if part.extras else ""
    return f"{part.log.id}, entries {part.first} to {last} of {part.log.size}{beside}, key {part.log.key.fingerprint}"


def shown(text: str) -> str:
    """Return text that no terminal takes for a command: printable ASCII, all else as escapes."""
    return "".join(each if " " <= each <= "~" else ascii(each)[1:-1] for each in text)[:200]
