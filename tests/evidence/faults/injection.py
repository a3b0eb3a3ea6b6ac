"""Faults by strace(1): the Nth call of one kind fails, or the process dies in it; then what is left is judged."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evidence import dsse, restricted_json, tree
from evidence.log import EvidenceStore
from evidence.note import Checkpoint
from evidence.predicates import Snapshot
from evidence.prune import PRUNED
from tests.evidence.store_parts import SEEN, table, ticking

ROOT = Path(__file__).parents[3]
WRITES = (
    "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2", "linkat", "mkdirat", "unlink",
    "unlinkat", "ftruncate", "fchmod",
)  # fmt: skip
"""The calls that change what is on disk. What opens or closes a file changes nothing that these do not show."""
OTHERS = ("openat", "close", "flock", "read")
CALLS = (*WRITES, *OTHERS)


@dataclass(frozen=True)
class Outcome:
    """How a case went: what was promised, how it ended, and how often the fault was met."""

    promised: list[tuple[str, int, str]]
    refused: int
    status: int
    met: int


class Victim:
    """A process that forks one child for each case."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.evidence.faults.victim"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def run(self, action: str, state: Path, fault: str | None = None, file_size: int | None = None) -> Outcome:
        """Run one case; `fault` is what follows `-e inject=` in strace(1)."""
        order = {"action": action, "state": str(state)}
        self._say(json.dumps(order if file_size is None else {**order, "file_size": file_size}))
        child = int(self._hear().removeprefix("ready "))
        log = state.with_name("trace")
        with traced(child, log, fault) if fault else contextlib.nullcontext():
            self._say("go")
            lines = list(iter(self._hear, ""))
        met = log.read_text(errors="replace").count("(INJECTED)") if fault else 0
        return Outcome(
            [(line[1], int(line[2]), line[3]) for line in map(str.split, lines) if line[0] == "committed"],
            sum(line.startswith("refused") for line in lines),
            int(lines[-1].removeprefix("exit ")),
            met,
        )

    def counts(self, action: str, state: Path, calls: Sequence[str] = CALLS) -> Counter[str]:
        """Return how often each call is made when nothing fails."""
        self._say(json.dumps({"action": action, "state": str(state)}))
        child = int(self._hear().removeprefix("ready "))
        log = state.with_name("trace")
        with traced(child, log, None, calls):
            self._say("go")
            list(iter(self._hear, ""))
        return Counter(re.findall(r"^(?:\d+ +)?([a-z0-9]+)\(", log.read_text(errors="replace"), re.MULTILINE))

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        """Return a line; after the last of a case, an empty one."""
        if getattr(self, "_done", False):
            self._done = False
            return ""
        assert self._process.stdout is not None
        text = self._process.stdout.readline().rstrip("\n")
        assert text, "the victim's parent died"
        self._done = text.startswith("exit ")
        return text


@contextlib.contextmanager
def traced(child: int, log: Path, fault: str | None, calls: Sequence[str] = CALLS) -> Iterator[None]:
    """Attach strace to a process that waits, and let go when it has ended."""
    wanted = fault.partition(":")[0] if fault else ",".join(calls)
    command = ["strace", "-o", str(log), "-e", f"trace={wanted}", "-p", str(child)]
    tracer = subprocess.Popen(
        [*command, *(["-e", f"inject={fault}"] if fault else [])], stderr=subprocess.PIPE, text=True
    )
    assert tracer.stderr is not None
    first = tracer.stderr.readline()
    assert "attached" in first, first + tracer.stderr.read()
    yield
    tracer.communicate(timeout=30)


def copied(template: Path, place: Path) -> Path:
    """Return a copy of a state that believes it is the original: a copy is what the store looks out for."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(template, place)
    adopt(place)
    return place


def adopt(state: Path) -> None:
    """Make a copied state believe that its files are the ones it was made with."""
    keys = state / "keys"
    line = (keys / "identity.json").read_bytes().partition(b"\n")[0]
    value = {**json.loads(line), "inode": (keys / "secret").stat().st_ino}
    line = restricted_json.encode(value)
    check = hashlib.sha256(line).hexdigest().encode()
    (keys / "identity.json").write_bytes(line + b"\n" + check + b"\n")
    for each in state.glob("logs/*/mark.*"):
        line, _, check = each.read_bytes().rpartition(b" ")
        assert check == hashlib.sha256(line + b"\n").hexdigest().encode() + b"\n", "a mark appears with its line whole"
        line = b"%d 0" % each.stat().st_ino
        each.write_bytes(b"%s %s\n" % (line, hashlib.sha256(line + b"\n").hexdigest().encode()))


def checkpoints(state: Path) -> list[Checkpoint]:
    """Return the checkpoints that anyone can see now."""
    if not (state / "logs").is_dir():
        return []
    with EvidenceStore.read(str(state)) as reader:
        return [reader.signed_size(each.id) for each in reader.logs()]


def judge(state: Path, promised: list[tuple[str, int, str]], seen: list[Checkpoint]) -> None:
    """Check O1 and O2: all that was promised is there and verifies, work goes on, a restart changes nothing."""
    with EvidenceStore.open(str(state), machine="aa" * 32, clock=ticking(), wait_s=0) as store:
        again = store.append_snapshot([table("after", b"{}")], SEEN)
        assert all(each.kind in ("log-opened", "gap", "disk-full") for each in store.events), store.events
    leaves = leaves_of(state)
    for origin, sequence, leaf in [*promised, (again.origin, again.sequence, again.leaf_hash.hex())]:
        assert leaves[origin][sequence].hex() == leaf
    for each in seen:  # whoever saw a checkpoint must never see another history
        assert tree.root(leaves[each.origin][: each.size]) == each.root
    before = fingerprint(state)
    with EvidenceStore.open(str(state), machine="aa" * 32, clock=ticking(), wait_s=0):
        pass
    assert fingerprint(state) == before


def leaves_of(state: Path) -> dict[str, list[bytes]]:
    """Return the leaves by origin, after checking envelopes, roots, places and blobs."""
    found = {}
    with EvidenceStore.read(str(state)) as reader:
        logs = reader.logs()
        entries = {log.id: list(reader.entries(log.id)) for log in logs}
        pruned = any(
            entry.statement is not None and getattr(entry.statement, "kind", "") == PRUNED
            for each in entries.values()
            for entry in each
        )
        for log in logs:
            key = reader.public_key(log.id)
            for at, entry in enumerate(entries[log.id]):
                assert entry.envelope is not None
                assert entry.sequence == at
                envelope = dsse.decode(entry.envelope)
                dsse.verify(envelope, [key])
                assert tree.leaf_hash(envelope.payload) == entry.leaf
                statement = entry.statement
                assert statement is not None
                assert statement.predicate.log.sequence == at
                assert statement.predicate.log.origin == log.origin
                for digest in statement.digests():
                    blob = reader.blob(digest)
                    gone = pruned and isinstance(statement, Snapshot)
                    assert blob is not None or gone, (log.id, at)
            found[log.origin] = tree.split(reader.leaves(log.id))
            reader.sshsig(log.id)
    return found


def fingerprint(state: Path) -> str:
    """Return a hash of all that a restart must not change: everything but the lock and what is rebuilt."""
    total = hashlib.sha256()
    for each in sorted(state.rglob("*")):
        if each.is_file() and not each.name.startswith(("index.sqlite", "lock")):
            total.update(os.fsencode(each) + b"\n" + each.read_bytes() + b"\n")
    return total.hexdigest()
