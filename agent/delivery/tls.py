"""Who is on the other end: TLS 1.2 or later, a certificate for this very name or address, and the pin if one is set."""

from __future__ import annotations

import contextlib
import hashlib
import re
import ssl
from collections.abc import Collection, Iterator

import msgspec

from agent.delivery.budget import BoundedSocket, BoundedTls, Budget
from agent.delivery.errors import SettingsError, UnreachableError, UntrustedError

_PIN = re.compile(r"[0-9a-f]{64}\Z")
_VERSION = 0xA0
_UNKNOWN_ISSUER = "name a private authority with ca_file (evidenced enroll --ca-file)"
_OTHER_NAME = "use the name that stands in the certificate; if it is there, something else answers"
_OUT_OF_TIME = "look at the clock of this host; whoever runs the server renews the certificate"
_STEPS = {
    **dict.fromkeys((2, 18, 19, 20, 21), _UNKNOWN_ISSUER),
    **dict.fromkeys((9, 10), _OUT_OF_TIME),
    **dict.fromkeys((62, 64), _OTHER_NAME),
}
"""What to do by X509_V_ERR: X509_STORE_CTX_get_error(3ssl)."""
_ASK = "ask whoever runs the server"


class Trust(msgspec.Struct, frozen=True):
    """What a server must show, and what we show it."""

    ca_file: str | None = None
    """Certificates that may vouch for the server; None: those of the system."""
    client_certificate: str | None = None
    client_key: str | None = None
    pins: Collection[str] = ()
    """SHA-256 in hex of certificates or public keys (SPKI), one of which the server must have; empty: any."""


def context_of(trust: Trust, where: str) -> ssl.SSLContext:
    """Return what connections are made with. Raises: SettingsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 9525: names stand in subjectAltName only
    context.sslsocket_class = BoundedTls
    if trust.ca_file is None:
        context.load_default_certs()
    else:
        with _readable(f"{where}: ca_file {trust.ca_file}", "PEM certificates"):
            context.load_verify_locations(cafile=trust.ca_file)
    if trust.client_certificate is not None:
        what = "a PEM certificate and its key, which is not encrypted"
        with _readable(f"{where}: client_certificate {trust.client_certificate}", what):
            # a password of its own, or OpenSSL would ask a terminal for one
            context.load_cert_chain(trust.client_certificate, trust.client_key, password="")
    for pin in trust.pins:
        if not _PIN.match(pin):
            raise SettingsError(f"{where}: pin_sha256", "64 lower-case hex digits", "another text")
    return context


@contextlib.contextmanager
def _readable(where: str, expected: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError:  # its text is OpenSSL's and may be anything; a key file is no place to quote from
        raise SettingsError(where, expected, "another content") from None
    except OSError as error:
        raise SettingsError(where, expected, (error.strerror or "an error").lower()) from None


def secured(
    connection: BoundedSocket, context: ssl.SSLContext, host: str, where: str, budget: Budget, pins: Collection[str]
) -> BoundedTls:
    """Return the connection inside TLS, once the other side has shown who it is; not a byte of HTTP is sent before.

    Raises: UntrustedError; UnreachableError if it fell silent or hung up.
    """
    connection.settimeout(budget.wait_s())  # of the handshake as a whole
    try:
        tls = context.wrap_socket(connection, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        found = error.verify_message.lower().rstrip(".")
        step = _STEPS.get(error.verify_code, _ASK)
        raise UntrustedError(where, f"a valid certificate for {host}", found, step) from None
    except ssl.SSLEOFError:
        raise UnreachableError(where, "a TLS handshake", "an end of the connection") from None
    except ssl.SSLError as error:
        step = "see whether this port is the right one, and what it speaks"
        raise UntrustedError(where, "TLS 1.2 or later", words(error), step) from None
    except OSError as error:
        found = "silence" if isinstance(error, TimeoutError) else (error.strerror or "an error").lower()
        raise UnreachableError(where, "a TLS handshake", found) from None
    if not isinstance(tls, BoundedTls):
        raise TypeError("expected the context of context_of")
    try:
        _check_pin(tls, pins, where)
    except BaseException:
        tls.close()
        raise
    return tls


def words(error: ssl.SSLError) -> str:
    """Return OpenSSL's name for what went wrong as words."""
    return (error.reason or "an error of TLS").replace("_", " ").lower()


def _check_pin(tls: BoundedTls, pins: Collection[str], where: str) -> None:
    certificate = tls.getpeercert(binary_form=True) or b""
    shown = {hashlib.sha256(certificate).hexdigest(), hashlib.sha256(public_key_of(certificate)).hexdigest()}
    if pins and not shown & set(pins):
        raise UntrustedError(where, "the certificate or public key that is pinned", "another", _ASK)


def public_key_of(certificate: bytes) -> bytes:
    """Return SubjectPublicKeyInfo, header and all, of a DER certificate that OpenSSL has read: RFC 5280, 4.1.

    Raises: UntrustedError if it has another shape.
    """
    try:
        inner, _ = _content(certificate, 0)  # Certificate
        at, _ = _content(certificate, inner)  # TBSCertificate
        skipped = 6 if certificate[at] == _VERSION else 5  # version, serial, algorithm, issuer, validity, subject
        for _ in range(skipped):
            at = _content(certificate, at)[1]
        return certificate[at : _content(certificate, at)[1]]
    except IndexError:
        raise UntrustedError("certificate", "the shape of X.509", "another") from None


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the element at `at` begins and ends: X.690, 8.1.3."""
    length = der[at + 1]
    begins = at + 2
    if length & 0x80:
        begins += length & 0x7F
        length = int.from_bytes(der[at + 2 : begins], "big")
    if begins + length > len(der):
        raise IndexError
    return begins, begins + length
