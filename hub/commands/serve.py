"""`evidenced-hub serve`: take batches from agents, and answer with signatures."""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import sys

from hub.folder import serving
from hub.limits import MIB, Limits
from hub.service import Hub
from hub.signing import signers
from hub.tokens import TokenCheck, parse_file
from program.errors import COULD_NOT_RUN, OK, WRONG_USE, CommandError

EPILOG = """\
Without TLS it listens on the loopback only: put it behind something that speaks TLS, or give it a certificate.
The access log goes to stderr, one JSON line for each request. SIGTERM ends it when what was begun is done."""

DEFAULT_LISTEN = "127.0.0.1:8443"
_LISTEN = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[^:\[\]]+)):(?P<port>[0-9]{1,5})\Z")
_MAX_PORT = 65535
_TOKEN_BYTES = 1 << 20


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    limits = Limits()
    parser.epilog = EPILOG
    parser.add_argument("--data", metavar="DIR", required=True, help="the hub's folder; made at first use")
    parser.add_argument(
        "--name", metavar="NAME", required=True, help="name the hub signs as, such as hub.example; never changed"
    )
    parser.add_argument(
        "--listen", metavar="HOST:PORT", default=DEFAULT_LISTEN, help=f"default {DEFAULT_LISTEN}; port 0: any"
    )
    parser.add_argument("--tls-certificate", metavar="FILE", help="certificate chain, PEM")
    parser.add_argument("--tls-key", metavar="FILE", help="its key, PEM")
    parser.add_argument("--client-ca", metavar="FILE", help="clients must show a certificate that one of these issued")
    parser.add_argument("--token-file", metavar="FILE", help="enrolment tokens beside those of `token new`, one a line")
    parser.add_argument("--behind-proxy", action="store_true", help="listen elsewhere than on the loopback without TLS")
    parser.add_argument(
        "--per-peer",
        metavar="N",
        type=int,
        default=limits.per_peer,
        help=f"requests of one address at a time (default {limits.per_peer})",
    )
    parser.add_argument(
        "--at-once",
        metavar="N",
        type=int,
        default=limits.at_once,
        help=f"requests at a time (default {limits.at_once})",
    )
    parser.add_argument(
        "--max-batch",
        metavar="MIB",
        type=int,
        default=limits.max_batch // MIB,
        help=f"largest batch (default {limits.max_batch // MIB})",
    )
    parser.add_argument(
        "--reserve",
        metavar="MIB",
        type=int,
        default=limits.reserve // MIB,
        help=f"disk that stays free (default {limits.reserve // MIB})",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until told to end."""
    host, port = listen(options.listen)
    limits = _limits(options)
    try:
        from hub.web.access_log import AccessLog  # noqa: PLC0415  the extra `hub` may not be installed
        from hub.web.server import Tls, bind, serve  # noqa: PLC0415
    except ImportError as error:
        raise CommandError(
            f"expected the module {error.name}, found none; pip install 'evidenced[hub]'", COULD_NOT_RUN
        ) from None
    tls = None
    if options.tls_certificate or options.tls_key or options.client_ca:
        if not (options.tls_certificate and options.tls_key):
            raise CommandError("expected --tls-certificate and --tls-key together", WRONG_USE)
        tls = Tls(options.tls_certificate, options.tls_key, options.client_ca)
        tls.context()
    elif not options.behind_proxy and not is_loopback(host):
        raise CommandError("--listen: expected TLS or a loopback address, found neither; see --behind-proxy", WRONG_USE)
    fixed = _token_file(options.token_file)
    with serving(options.data) as folder:
        both = signers(folder.keys, options.name)
        hub = Hub(folder, both, TokenCheck(folder.database, fixed), limits)
        try:
            listening = bind(host, port)
            url = f"{'https' if tls else 'http'}://{options.listen.rpartition(':')[0]}:{listening.getsockname()[1]}"

            def ready() -> None:
                sys.stderr.write(f"evidenced-hub: {url} serves as {both.storage.vkey}\n")
                sys.stderr.flush()

            serve(hub, listening, tls, AccessLog(), ready)
        finally:
            hub.close()
    return OK


def listen(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT. Raises: CommandError."""
    found = _LISTEN.match(text)
    if found is None or int(found["port"]) > _MAX_PORT:
        raise CommandError("--listen: expected HOST:PORT or [ADDRESS]:PORT, found another text", WRONG_USE)
    return found["six"] or found["four"], int(found["port"])


def is_loopback(host: str) -> bool:
    """Return whether nobody but this host can connect."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _limits(options: argparse.Namespace) -> Limits:
    for name in ("per_peer", "at_once", "max_batch"):
        if getattr(options, name) < 1:
            raise CommandError(f"--{name.replace('_', '-')}: expected a positive number", WRONG_USE)
    if options.reserve < 0:
        raise CommandError("--reserve: expected no negative number", WRONG_USE)
    return Limits(
        per_peer=options.per_peer,
        at_once=options.at_once,
        max_batch=options.max_batch * MIB,
        reserve=options.reserve * MIB,
    )


def _token_file(path: str | None) -> tuple[str, ...]:
    if path is None:
        return ()
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise CommandError(f"{path}: expected a file that only its owner reads; chmod 600", COULD_NOT_RUN)
        data = file.read(_TOKEN_BYTES)
    try:
        return parse_file(data.decode("ascii"), path)
    except UnicodeDecodeError:
        raise CommandError(f"{path}: expected ASCII, found other bytes", COULD_NOT_RUN) from None
