"""The process that faults are injected into. Imports are done once; each case is a fork of this process.

Reads lines of JSON on stdin: `{"action": …, "state": …}`; forks; the child waits for a line `go`, so that a tracer
can be attached to it first. The child writes `committed ORIGIN SEQUENCE LEAF` for each entry it was promised, and
the parent `exit STATUS` behind it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from evidence import waiting
from evidence.errors import EvidenceError
from evidence.keys import NOTE_COSIGNATURE
from evidence.log import Entry, EvidenceStore
from evidence.note import Verifier
from tests.evidence.known import WITNESS
from tests.evidence.store_parts import SEEN, START, table, ticking

waiting.AT_ONCE = 1  # one by one is one of the orders threads may take, and it is the same in each run
TRIES = 3
HUB = Verifier("hub.example", WITNESS.public, NOTE_COSIGNATURE)
CRASHED = 70


def line() -> str:
    """Return one line of stdin, read byte by byte: parent and child share it.

    By readv(2) and, below, writev(2), which the store does not use: no fault is meant for the talk with the test.
    """
    text, byte = b"", bytearray(1)
    while not text.endswith(b"\n"):
        if not os.readv(0, [byte]):
            sys.exit(0)
        text += byte
    return text.decode()


def tell(text: str) -> None:
    os.writev(1, [text.encode() + b"\n"])


def promised(entry: Entry) -> None:
    tell(f"committed {entry.origin} {entry.sequence} {entry.leaf_hash.hex()}")


def append(store: EvidenceStore) -> None:
    """Append the same rows in each run, so that the same calls are made."""
    promised(store.append_snapshot([table("users", b'{"n":"more"}'), table("groups", b"{}")], SEEN))


def rotate(store: EvidenceStore) -> None:
    promised(store.rotate(SEEN))
    append(store)


def prune(store: EvidenceStore) -> None:
    store.prune(START + timedelta(days=3650), SEEN)
    append(store)


def batch(store: EvidenceStore) -> None:
    """Write two batches beside the state, the first of them over one that may stand there."""
    outbox = os.path.join(os.path.dirname(store._root.path), "outbox")
    log = next(each for each in os.listdir(os.path.join(store._root.path, "logs")) if not each.startswith("."))
    for first in (0, 2):
        store.write_batch(outbox, log, first, size=first + 2, overwrite=True)


def receipt(store: EvidenceStore) -> None:
    """Take in an acknowledgement for each size that the test wrote down."""
    folder = os.path.join(os.path.dirname(store._root.path), "answers")
    log = next(each for each in os.listdir(os.path.join(store._root.path, "logs")) if not each.startswith("."))
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as answer:
            store.accept_receipt(log, answer.read(), [HUB])
    append(store)


ACTIONS: dict[str, Callable[[EvidenceStore], None]] = {
    "append": append,
    "batch": batch,
    "receipt": receipt,
    "rotate": rotate,
    "prune": prune,
}


def act(order: dict[str, Any]) -> int:
    """Do it, and on an error that the store reports go on as a service would."""
    if "file_size" in order:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_size"], resource.RLIM_INFINITY))
    for attempt in range(TRIES):
        try:
            with EvidenceStore.open(order["state"], machine="aa" * 32, clock=ticking(), wait_s=0) as store:
                ACTIONS[order["action"]](store)
                return 0
        except EvidenceError as error:
            tell(f"refused {type(error).__name__}")
        if attempt == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return 1


def main() -> None:
    while True:
        order = json.loads(line())
        child = os.fork()
        if child == 0:
            try:
                tell(f"ready {os.getpid()}")
                line()
                os._exit(act(order))
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                os._exit(CRASHED)
        _, status = os.waitpid(child, 0)
        tell(f"exit {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
