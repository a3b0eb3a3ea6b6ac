"""`evidenced _sign`: the signer. Takes its socket from systemd or from whoever started it, and ends when idle."""

from __future__ import annotations

import argparse
import contextlib
import os
import socket

from agent.places import Places, places
from agent.signing import listening
from agent.signing.clerk import Clerk
from agent.signing.in_force import InForce
from agent.signing.notify import Notifier
from agent.signing.outbox import Outbox
from agent.signing.peer import Doorkeeper
from agent.signing.policy import config_of
from agent.signing.server import Server
from agent.signing.service import Service
from program.errors import COULD_NOT_RUN, OK, CommandError

LOCK_WAIT_S = 1.0
"""How long a request waits here for another writer: whoever asked asks again, and others are served meanwhile."""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")
    parser.add_argument("--config", metavar="FILE", help="configuration: sinks, and the budget of the outbox")
    parser.add_argument("--listen-fd", type=int, metavar="N", help="descriptor of a socket that listens")
    parser.add_argument("--bind", action="store_true", help="make the socket, for as long as this process lives")


def run(options: argparse.Namespace) -> int:
    """Serve until idle."""
    where = places(options.state)
    clerk = Clerk(where.state, LOCK_WAIT_S)
    in_force = InForce(where.state, config_of(options.config, where))
    service = Service(clerk, Outbox(where.outbox, clerk, in_force.policy), in_force=in_force)
    server = Server(_listener(options, where), Doorkeeper.of_this_process(), service.act, service.tables)
    server.heed_signals()
    try:
        server.run(Notifier(os.environ), service.pause)
        service.finish()
    finally:
        server.close()
        clerk.close()
        if options.bind:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(where.sign_socket)
    return OK


def _listener(options: argparse.Namespace, where: Places) -> socket.socket:
    try:
        listener = listening.passed(os.environ, options.listen_fd)
    except ValueError as error:
        raise CommandError(str(error)) from None
    if listener is not None:
        return listener
    if not options.bind:
        step = "start evidenced-sign.socket, or pass --bind"
        raise CommandError(f"expected a socket to listen on, found none; {step}", COULD_NOT_RUN)
    return listening.bind(where.sign_socket)
