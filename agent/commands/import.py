"""`evidenced import`: take batches in that came by hand, check them, and file or forward them."""  # noqa: N999  the command's own name

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from agent.configuration.loading import configured
from agent.configuration.model import Hub
from agent.delivery import enrolment, outbox
from agent.delivery.answers import storage_key
from agent.delivery.budget import Limits
from agent.delivery.errors import BatchError, DeliveryError
from agent.delivery.filing import file_into
from agent.delivery.gathering import STEP, Sequence, check, find
from agent.delivery.hub_settings import checked, hold_to_way, way_of
from agent.delivery.opening import client_of
from agent.delivery.pace import Pace
from agent.delivery.results import Behind, Delivered, Result, Unknown
from agent.delivery.sinks.hub import HubSink
from agent.terminal import counted, thousands
from evidence.errors import PackError
from evidence.note import Verifier
from program.errors import BAD_EVIDENCE, COULD_NOT_RUN, OK, WRONG_USE, CommandError
from program.text import printable

EPILOG = """\
Batches are those that evidenced export --batches or a sink of type directory wrote. Each is checked to its last byte
before it is passed on: its container, the signatures, the tree and every blob. Whose key it is, is for you or the hub
to know: compare the fingerprint that is printed. Without --into and --hub they are checked only.

exit codes: 0 fine, 1 a batch is bad (the others are passed on), 2 wrong use, 3 entries are missing between batches, or
something was not passed on"""

RATE = 1 << 34
"""Bytes a second: somebody waits for it."""
LINE_LIMIT = 500
_CANNOT_ENROL = "the host that holds this key must enrol it, or its operator at the hub"


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("paths", nargs="+", metavar="DIR", help="folder with batches, or a batch")
    parser.add_argument("--into", metavar="DIR", help="file them here, a folder for each log")
    parser.add_argument("--hub", metavar="URL", help="forward them to this hub, which must know the keys")
    parser.add_argument("--hub-key", metavar="VKEY", help="key of the hub, as its operator gave it to you")
    parser.add_argument("--ca-file", metavar="FILE", help="authorities that may vouch for the hub")
    parser.add_argument("--client-certificate", metavar="FILE", help="certificate that is shown to the hub, PEM")
    parser.add_argument("--client-key", metavar="FILE", help="its private key, PEM")
    parser.add_argument("--proxy", metavar="URL", help="HTTP proxy on the way")
    parser.add_argument("--config", metavar="FILE", help="configuration, which may name the hub and its key")


def run(options: argparse.Namespace) -> int:
    """Check, then file or forward, and say what is missing."""
    if options.into is not None and options.hub is not None:
        raise CommandError("expected --into or --hub, found both", WRONG_USE)
    try:
        batches = find(options.paths)
    except BatchError as error:
        raise CommandError(str(error)) from None
    if not batches:
        raise CommandError(f"expected batches at {', '.join(map(printable, options.paths))}, found none; {STEP}")
    sequences = check(batches)
    passed = True
    for each in sequences:
        for line in lines_of(each):
            print(line)
    if options.into is not None:
        passed = _file(options.into, sequences)
    elif options.hub is not None:
        passed = _forward(options, sequences)
    if any(each.bad for each in sequences):
        return BAD_EVIDENCE
    return OK if passed and not any(each.missing for each in sequences) else COULD_NOT_RUN


def lines_of(one: Sequence) -> Iterator[str]:
    """Yield what was brought of one log."""
    key = f", key {one.fingerprint}" if one.fingerprint is not None else ""
    first = f"entries {one.good[0].place.first} to {one.size - 1}, " if one.good else ""
    yield f"{one.log_id}: {first}{_batches(len(one.good))}{key}"
    for start, stop in one.missing:
        yield f"  missing  {counted(stop - start, 'entry')}, {start} to {stop - 1}"
    for line in one.bad:
        yield f"  bad      {printable(line, LINE_LIMIT)}"


def _file(folder: str, sequences: list[Sequence]) -> bool:
    try:
        new = [file_into(folder, batch) for one in sequences for batch in one.good]
    except (PackError, DeliveryError) as error:
        raise CommandError(str(error)) from None
    print(f"filed into {printable(folder)}: {_batches(sum(new))} new, {thousands(new.count(False))} there already")
    return True


def _forward(options: argparse.Namespace, sequences: list[Sequence]) -> bool:
    try:
        settings, known = _hub(options)
        with client_of(settings, Limits()) as client:
            info = enrolment.ask(client, known)
            if known is None:
                sys.stderr.write(
                    f"evidenced import: {printable(info.vkey)}: this key was trusted because it answered; compare it, "
                    "or name it with --hub-key\n"
                )
            sink = HubSink(
                settings.name,
                client,
                Pace(RATE),
                key=info.verifier,
                enrol=lambda _client: _CANNOT_ENROL,
                keep=lambda _data: None,
            )
            return _sent(sink, sequences)
    except DeliveryError as error:
        raise CommandError(str(error)) from None


def _sent(sink: HubSink, sequences: list[Sequence]) -> bool:
    """Send what is good of each log, up to the first batch that the hub does not take.

    A hub learns the key of a log from the end of the one before: a log of which nothing is taken has its turn again
    after another one was.
    """
    left, whole = sequences, True
    while left:
        put_off = []
        for one in left:
            done, refusal = _send(sink, one)
            if refusal is not None and not done:
                put_off.append((one, refusal))
                continue
            whole = _told(one, done, refusal) and whole
        if len(put_off) == len(left):
            for one, refusal in put_off:
                whole = _told(one, 0, refusal) and whole
            break
        left = [one for one, _ in put_off]
    return whole


def _send(sink: HubSink, one: Sequence) -> tuple[int, str | None]:
    """Return how many batches of a log the hub took, and why not the next one."""
    for done, batch in enumerate(one.good):
        with outbox.opened(batch) as open_batch:
            result = sink.deliver(open_batch)
        if not isinstance(result, Delivered):
            return done, f"not taken from entry {batch.place.first} on: {_why(result)}"
    return len(one.good), None


def _told(one: Sequence, done: int, refusal: str | None) -> bool:
    """Say what became of a log, and return whether all of it was taken."""
    if refusal is not None:
        print(f"{one.log_id}: {refusal}")
    print(f"{one.log_id}: {_batches(done)} acknowledged by the hub")
    return refusal is None


def _why(result: Result) -> str:
    if isinstance(result, Behind):
        return f"the hub has {thousands(result.size)} entries and needs those that follow"
    reason = str(getattr(result, "reason", ""))
    return printable(f"{reason}; {_CANNOT_ENROL}" if isinstance(result, Unknown) else reason, LINE_LIMIT)


def _hub(options: argparse.Namespace) -> tuple[Hub, Verifier | None]:
    """Return the hub as the configuration names it, or else as the options do."""
    given = None if options.hub_key is None else storage_key(options.hub_key, "--hub-key")
    for each in configured(options.config).sinks:
        if isinstance(each, Hub) and each.url.rstrip("/") == options.hub.rstrip("/"):
            hold_to_way(options, each)
            return each, given or (None if each.vkey is None else storage_key(each.vkey, each.name))
    return checked({"name": "hub", "url": options.hub, **way_of(options)}), given


def _batches(count: int) -> str:
    return f"{thousands(count)} {'batch' if count == 1 else 'batches'}"
