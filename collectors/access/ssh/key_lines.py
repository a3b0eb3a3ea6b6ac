"""Lines of authorized_keys, of a TrustedUserCAKeys file and of an AuthorizedPrincipalsFile.

Read as OpenSSH 10 does (auth2-pubkeyfile.c); its `ssh-keygen -lf` is the judge in the tests.
"""

from __future__ import annotations

import re

import msgspec

from collectors.access.ssh.key_options import Option, parse_options
from collectors.access.ssh.public_key import PublicKey, parse_public_key
from collectors.contract import MalformedError

BLANKS = " \t"
MIN_RSA_BITS = 1024

_WORDS = re.compile(r"([a-z0-9][a-z0-9@.-]{0,63})[ \t]+([^ \t]+)", re.ASCII)
_MARKS = re.compile(r'\\"|"|[ \t]')
# White space that base64 may hold (b64_pton(3)), a carriage return at the end of a line above all.
_IN_BASE64 = re.compile(r"[\n\v\f\r]")


class KeyLine(msgspec.Struct, frozen=True):
    """One key with what stands around it. `comment` is a person's text: it goes no further than an HMAC."""

    key: PublicKey
    comment: str
    options: tuple[Option, ...] = ()
    refused: str | None = None
    """Why sshd passes this line over, in words of ours."""


class PrincipalLine(msgspec.Struct, frozen=True):
    """One name that a user certificate may carry, with the options before it."""

    name: str
    options: tuple[Option, ...] = ()
    refused: str | None = None


def parse_key_line(text: str) -> KeyLine | None:
    """Return the key on one line of authorized_keys, or None for an empty line or a comment.

    A line whose options sshd would refuse is returned too, without options and with the reason: someone
    meant it to be a key.
    Raises: MalformedError if no key is found.
    """
    text = _stripped(text)
    if not text or text.startswith("#"):
        return None
    try:
        return _key_line(*_key_at(text))
    except MalformedError:
        end = _options_end(text)
        if end == len(text):
            raise
    key, comment = _key_at(text[end:].lstrip(BLANKS))
    try:
        return _key_line(key, comment, options=parse_options(text[:end]))
    except MalformedError as error:
        return KeyLine(key, comment, refused=f"options: {error}")


def parse_authority_line(text: str) -> KeyLine | None:
    """Return the key on one line of a TrustedUserCAKeys file, which has no options; None as above."""
    text = _stripped(text)
    if not text or text.startswith("#"):
        return None
    return _key_line(*_key_at(text))


def parse_principal_line(text: str) -> PrincipalLine | None:
    """Return the principal on one line, or None for an empty line or a comment; a `#` anywhere begins one.

    Everything before the last blank is options.
    """
    text = _stripped(text.split("#", 1)[0])
    if not text:
        return None
    start = max(text.rfind(blank) for blank in BLANKS) + 1
    head, name = text[:start], text[start:]
    end = _options_end(head)
    try:
        return PrincipalLine(name, parse_options(head[:end]))
    except MalformedError as error:
        return PrincipalLine(name, refused=f"options: {error}")


def _stripped(text: str) -> str:
    return text.lstrip(BLANKS).rstrip(BLANKS + "\r")


def _key_line(key: PublicKey, comment: str, options: tuple[Option, ...] = ()) -> KeyLine:
    names = {each.name for each in options}
    refused = None
    if key.certificate:
        refused = "a certificate admits nobody here: list its authority with cert-authority"
    elif key.type == "ssh-rsa" and key.bits is not None and key.bits < MIN_RSA_BITS:
        refused = f"expected at least {MIN_RSA_BITS} bits of RSA, found {key.bits}"
    elif "principals" in names and "cert-authority" not in names:
        refused = "principals without cert-authority"
    return KeyLine(key, comment, options, refused)


def _key_at(text: str) -> tuple[PublicKey, str]:
    """Return the key and comment a text begins with; MalformedError if it begins with something else."""
    words = _WORDS.match(text)
    if words is None:
        raise MalformedError("the type of a key and its base64", "something else")
    return parse_public_key(words.group(1), _IN_BASE64.sub("", words.group(2))), text[words.end() :].strip(BLANKS)


def _options_end(text: str) -> int:
    """Return where the options end: at the first blank outside quotes."""
    quoted = False
    for found in _MARKS.finditer(text):
        if found.group() == '"':
            quoted = not quoted
        elif found.group() in BLANKS and not quoted:
            return found.start()
    if quoted:
        raise MalformedError("a closing quote", "the end of the line")
    return len(text)
