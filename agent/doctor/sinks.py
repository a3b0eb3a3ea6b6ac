"""Where batches go: how each sink fares, and whether it can be reached and trusted right now.

The network is asked for configured sinks only, each step with a deadline (4 s an address, 10 s to connect in all).
"""

from __future__ import annotations

import contextlib
import os
import ssl
import time
from collections.abc import Iterator

from agent.clocks import boot_id, boottime_ms
from agent.configuration.model import Configuration, Directory, HttpPut, Hub
from agent.configuration.secrets import SecretError, credential_path
from agent.delivery import address
from agent.delivery.address import Address
from agent.delivery.budget import BoundedSocket, Budget, Limits
from agent.delivery.dialling import dial, resolved
from agent.delivery.errors import DeliveryError, UntrustedError
from agent.delivery.opening import address_of
from agent.delivery.progress import Progress, look, pinned
from agent.delivery.tls import Trust, context_of, secured
from agent.delivery.transport import Client
from agent.doctor.check import Check, age, fine, note, seconds_since, why, wrong
from agent.doctor.hub_answer import judge_answer
from agent.places import Places
from agent.terminal import counted
from agent.users import RECORDERS
from evidence.errors import EvidenceError
from program.text import printable

LIMITS = Limits(read_s=10, total_s=20)
"""Shorter than delivery's own: somebody waits."""
EXPIRY_S = 14 * 86400
"""A certificate that ends sooner is worth a word."""


def check_sinks(configuration: Configuration, places: Places) -> Iterator[Check]:
    """Yield how each configured sink is."""
    if not configuration.sinks:
        yield note("sinks", "none is configured", "nothing leaves this host; see evidenced.toml(5)")
    for sink in configuration.sinks:
        yield from _progress(f"sink {sink.name}", sink.name, places)
        if isinstance(sink, Directory):
            yield _directory(sink)
        else:
            yield from check_remote(sink, places)


def _progress(subject: str, name: str, places: Places) -> Iterator[Check]:
    """Yield what the uploader remembers of its attempts."""
    try:
        progress = look(places.upload, name)
    except FileNotFoundError:
        yield note(subject, "nothing was delivered yet")
        return
    except (EvidenceError, OSError) as error:
        found = why(error) if isinstance(error, OSError) else str(error)
        yield note(subject, printable(found), "ask as root")
        return
    yield judge_progress(subject, progress, time.time())


def judge_progress(subject: str, progress: Progress, now: float) -> Check:
    """Return what the uploader's file about a sink means."""
    past = None if progress.last_success is None else seconds_since(progress.last_success, now)
    text = "nothing was delivered yet" if past is None else f"last receipt {age(past)} ago"
    reason = printable(progress.reason or "no reason was noted")
    if progress.state == "held":
        return wrong(
            subject,
            f"{text}; held: {reason}",
            "it is tried again every 15 min, and now by evidenced ship; see the steps below",
        )
    if progress.parked:
        first = next(iter(progress.parked.values()))
        found = f"{text}; {counted(len(progress.parked), 'refusal')}: {printable(first.reason)}"
        return wrong(subject, found, "the log is intact; ask whoever runs the sink")
    if progress.state == "retry":
        wait_s = progress.due_in_s(boot_id(), boottime_ms())
        return note(subject, f"{text}; {counted(progress.failures, 'failure')}: {reason}; next try in {age(wait_s)}")
    untold = sum(not each.told for each in progress.done.values())
    if untold:
        step = f"told again within a minute; if it stays so, may the uploader speak to the signer (group {RECORDERS})?"
        return note(subject, f"{text}; of {counted(untold, 'delivery')} the signer does not know yet", step)
    return fine(subject, text)


def _directory(sink: Directory) -> Check:
    subject = f"sink {sink.name}: folder"
    if not os.path.isdir(sink.path):
        return wrong(subject, f"{sink.path} is not there", "plug it in or mount it; batches wait")
    if not os.access(sink.path, os.W_OK | os.X_OK):
        return wrong(subject, f"{sink.path} cannot be written to", "let the uploader's user write to it")
    return fine(subject, sink.path)


def check_remote(sink: HttpPut | Hub, places: Places, limits: Limits = LIMITS) -> Iterator[Check]:
    """Yield each step of the way to a server, up to the first that fails."""
    subject = f"sink {sink.name}"
    try:
        target = address_of(sink)
        proxy = None if sink.proxy is None else address.parse_proxy(sink.proxy, "proxy")
        trust = _trust(sink)
    except (DeliveryError, SecretError) as error:
        yield wrong(f"{subject}: settings", printable(str(error)), "evidenced config check")
        return
    first = proxy or target
    try:
        yield _name(subject, first, limits)
    except DeliveryError as error:
        yield wrong(f"{subject}: dns", printable(error.fact), error.step)
        return
    try:
        connection = dial(first.host, first.port, first.where, limits)
    except DeliveryError as error:
        yield wrong(f"{subject}: tcp", printable(error.fact), error.step)
        return
    with contextlib.closing(connection):
        yield fine(f"{subject}: tcp", f"{first.endpoint} answers{' (the proxy)' if proxy else ''}")
        if target.scheme == "https" and proxy is None:
            check = _tls(subject, target, trust, connection, limits)
            yield check
            if check.state == "wrong":
                return
    if isinstance(sink, Hub):
        yield from _hub(sink, places, Client(target, trust, proxy, limits))


def _trust(sink: HttpPut | Hub) -> Trust:
    key = sink.client_key
    if sink.client_key_credential is not None:
        key = credential_path(sink.client_key_credential)
    return Trust(sink.ca_file, sink.client_certificate, key, sink.pin_sha256)


def _name(subject: str, first: Address, limits: Limits) -> Check:
    found = resolved(first.host, first.port, first.where, limits.connect_all_s)
    number = "1 address" if len(found) == 1 else f"{len(found)} addresses"
    return fine(f"{subject}: dns", f"{first.host} has {number}")


def _tls(subject: str, target: Address, trust: Trust, connection: BoundedSocket, limits: Limits) -> Check:
    name = f"{subject}: tls"
    try:
        context = context_of(trust, target.where)
        tls = secured(connection, context, target.host, target.where, Budget(target.where, limits), trust.pins)
    except UntrustedError as error:
        return wrong(name, printable(error.fact), f"{error.step or 'compare it with the settings'}; nothing was sent")
    except DeliveryError as error:
        step = error.step or "see whether this is the right port, and the files of this sink"
        return wrong(name, printable(error.fact), step)
    with contextlib.closing(tls):
        left_s = _left_s(tls)
        text = f"{tls.version()}, certificate good for {age(left_s)}" + (", as pinned" if trust.pins else "")
    return (note if left_s < EXPIRY_S else fine)(name, text)


def _left_s(tls: ssl.SSLSocket) -> float:
    """Return for how long the server's certificate, which was verified, is still valid."""
    ends = (tls.getpeercert() or {}).get("notAfter")
    return ssl.cert_time_to_seconds(ends) - time.time() if isinstance(ends, str) else 0.0


def _hub(sink: Hub, places: Places, client: Client) -> Iterator[Check]:
    """Yield whether the hub is one, and the one that was pinned."""
    subject = f"sink {sink.name}: hub"
    try:
        with client:
            answer = client.exchange("GET", client.address.target("/v1/hub"))
    except DeliveryError as error:
        yield wrong(subject, printable(error.fact), error.step or "ask whoever runs the hub")
        return
    try:
        vkey = sink.vkey or pinned(places.upload, sink.name)
    except (EvidenceError, OSError):
        yield note(subject, "answers; this user cannot see which key was pinned", "ask as root")
        return
    yield judge_answer(subject, answer.status, answer.body, vkey)
