"""`evidenced enroll`: make this host known to a hub, and the hub's key known to this host."""

from __future__ import annotations

import argparse
import os
import sys

import msgspec

from agent.configuration.loading import Loaded, load
from agent.configuration.model import Configuration, Hub
from agent.configuration.secrets import SecretError, read_secret
from agent.delivery import enrolment, hub_settings
from agent.delivery.acting import acting_as_uploader
from agent.delivery.answers import HubInfo, storage_key
from agent.delivery.budget import Limits
from agent.delivery.errors import AnswerError, DeliveryError
from agent.delivery.opening import client_of, host_name, hub_key, token_of
from agent.delivery.progress import pinned, set_pin
from agent.delivery.transport import Client
from agent.places import Places, places
from agent.signing.door import open_door
from evidence.errors import PackError
from evidence.note import Verifier
from program.errors import OK, WRONG_USE, CommandError
from program.text import printable

EPILOG = """\
The signer proves that this host holds its key; nothing that is secret leaves. The hub's key is pinned: from then on
only what it signs is an acknowledgement. Give --hub-key as the hub's operator gave it to you; without it the key that
answers is trusted, and printed to be compared. To enrol again changes nothing.

The sink is written into conf.d beside the configuration or, where that may not be written, printed.

exit codes: 0 enrolled, 2 wrong use, 3 not enrolled"""

TOKEN_LIMIT = 4096


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    parser.add_argument("--hub", metavar="URL", required=True, help="address of the hub")
    parser.add_argument("--token-file", metavar="FILE", help="file with the token that the hub's operator gave you")
    parser.add_argument("--hub-key", metavar="VKEY", help="key of the hub, as its operator gave it to you")
    parser.add_argument(
        "--ca-file", metavar="FILE", help="authorities that may vouch for the hub, in place of the system's"
    )
    parser.add_argument("--client-certificate", metavar="FILE", help="certificate that this host shows, PEM")
    parser.add_argument("--client-key", metavar="FILE", help="its private key, PEM")
    parser.add_argument("--proxy", metavar="URL", help="HTTP proxy on the way")
    parser.add_argument("--name", metavar="NAME", help="name of the sink (default hub)")
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")
    parser.add_argument("--config", metavar="FILE", help="main configuration file; conf.d stands beside it")


def run(options: argparse.Namespace) -> int:
    """Enrol, pin, and write the sink down."""
    where = places(options.state)
    loaded = load(options.config)
    if loaded.problems:
        sys.stderr.writelines(f"{each}\n" for each in loaded.problems)
        raise CommandError("expected a configuration without problems, found others: see above", WRONG_USE)
    settings, is_new = sink_for(options, loaded.configuration)
    try:
        known = _known(options, settings, where)
        with client_of(settings, Limits()) as client:
            info = enrolment.ask(client, known)
            log_id = _enrol(options, settings, where, client, info)
    except DeliveryError as error:
        raise CommandError(str(error)) from None
    print(f"enrolled  {log_id} at {printable(info.name)}")
    print(f"hub key   {printable(info.vkey)}")
    _remember(options, settings, where, info, loaded, known=known, is_new=is_new)
    return OK


def sink_for(options: argparse.Namespace, configuration: Configuration) -> tuple[Hub, bool]:
    """Return the configured sink of this hub, or one made of the options; and whether it is new."""
    for each in configuration.sinks:
        if (
            isinstance(each, Hub)
            and each.url.rstrip("/") == options.hub.rstrip("/")
            and options.name in (None, each.name)
        ):
            hub_settings.hold_to_way(options, each)
            return each, False
    name = options.name or hub_settings.free_name(configuration.sinks)
    if name in {each.name for each in configuration.sinks}:
        raise CommandError(f"--name: expected a name that no sink has, found {name!r}", WRONG_USE)
    return hub_settings.checked({"name": name, "url": options.hub, **hub_settings.way_of(options)}), True


def _known(options: argparse.Namespace, settings: Hub, where: Places) -> Verifier | None:
    """Return the key that the hub must have; None if whoever answers is to be trusted."""
    with acting_as_uploader(where):
        before = pinned(where.upload, settings.name)
    if options.hub_key is None:
        return hub_key(settings, before)
    try:
        given = storage_key(options.hub_key, "--hub-key")
    except AnswerError as error:
        raise CommandError(str(error), WRONG_USE) from None
    configured = hub_key(settings, None)  # what a command has pinned, a command may pin anew
    if configured is not None and configured != given:
        raise CommandError(
            f"--hub-key: expected the vkey that is configured for {settings.name}, found another; if the hub has a new "
            "key, its operator tells you so: take the old vkey out of the configuration first"
        )
    return given


def _enrol(options: argparse.Namespace, settings: Hub, where: Places, client: Client, info: HubInfo) -> str:
    try:
        token = token_of(settings) if options.token_file is None else _token(options.token_file)
    except SecretError as error:
        raise CommandError(f"--token-file: {error}") from None
    with open_door(where, config=options.config) as door:
        door.hello()  # a host that never signed gets its key and its log now
        return enrolment.enrol(client, info, host=host_name(), token=token, prove=door.prove)


def _remember(
    options: argparse.Namespace,
    settings: Hub,
    where: Places,
    info: HubInfo,
    loaded: Loaded,
    *,
    known: Verifier | None,
    is_new: bool,
) -> None:
    """Pin the key, sign that this was done, and write the sink down; what was done already is left as it is."""
    if known is None:
        sys.stderr.write(
            "evidenced enroll: this key was trusted because it answered first; compare it with the one that the "
            "hub's operator gives you\n"
        )
    if settings.vkey is None:
        with acting_as_uploader(where):
            before = pinned(where.upload, settings.name)
            set_pin(where.upload, settings.name, info.vkey)
        if before != info.vkey:
            with open_door(where, config=options.config) as door:
                door.event("enrolled", {"hub": info.name, "vkey": info.vkey}, {})
    if is_new:
        _write_down(msgspec.structs.replace(settings, vkey=info.vkey), loaded)


def _write_down(settings: Hub, loaded: Loaded) -> None:
    path = hub_settings.path_of(loaded.main, settings.name)
    try:
        hub_settings.write(path, settings)
    except (OSError, PackError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        sys.stderr.write(f"evidenced enroll: {path}: not written ({(why or 'an error').lower()}); put this there:\n")
        print(hub_settings.toml_of(settings), end="")
        return
    print(f"sink      {settings.name}, written to {path}")
    print("next      systemctl reload evidenced, where the service runs; then evidenced ship --once")


def _token(path: str) -> str:
    """Return a token that was given for once."""
    data = read_secret(path, owners={0, os.geteuid()}).strip()
    text = data.decode("ascii", "replace")
    if not (text.isascii() and text.isprintable() and 1 <= len(text) <= TOKEN_LIMIT):
        found = "other bytes" if data else "an empty line"
        raise CommandError(f"--token-file: {path}: expected a token on a line, found {found}; ask the hub's operator")
    return text
