"""The options before a key in authorized_keys or before a principal; sshd(8), AUTHORIZED_KEYS FILE FORMAT."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from collectors.access.ssh.option_values import check_value
from collectors.contract import MalformedError

# These two stand as they are; the switches may have `no-` before them.
FLAGS = frozenset({"restrict", "cert-authority"})
SWITCHES = frozenset(
    {
        "port-forwarding",
        "agent-forwarding",
        "x11-forwarding",
        "pty",
        "user-rc",
        "touch-required",
        "verify-required",
    }
)
VALUES = frozenset(
    {"command", "environment", "expiry-time", "from", "permitlisten", "permitopen", "principals", "tunnel"}
)
ONCE = frozenset({"command", "from", "principals"})

_NAME = re.compile(r"[A-Za-z0-9-]+")


class Option(msgspec.Struct, frozen=True):
    """One option; a flag has no value. The name is in lower case."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        if self.value is None:
            return self.name
        value = self.value.replace('"', r"\"")
        return f'{self.name}="{value}"'


def parse_options(text: str) -> tuple[Option, ...]:
    """Return the options in their order, which matters: a later one takes an earlier one back.

    Raises: MalformedError where sshd would pass the whole line over: an unknown option, a value that is
    missing or not closed, a doubled `command`, `from` or `principals`, a value it cannot read.
    """
    options = tuple(_each_option(text))
    names = [each.name for each in options]
    for name in ONCE:
        if names.count(name) > 1:
            raise MalformedError(f"one {name} option", "several")
    return options


def _each_option(text: str) -> Iterator[Option]:
    at = 0
    while at < len(text):
        if text[at] == ",":  # sshd passes over a comma too many
            at += 1
            continue
        option, at = _option_at(text, at)
        yield option
        if at < len(text) and text[at] != ",":
            raise MalformedError("a comma after an option", "another character")


def _option_at(text: str, at: int) -> tuple[Option, int]:
    word = _NAME.match(text, at)
    name = word.group().lower() if word else ""
    if name in VALUES:
        value, end = _quoted(text, at + len(name))
        check_value(name, value)
        return Option(name, value), end
    if name in FLAGS or name.removeprefix("no-") in SWITCHES:
        return Option(name), at + len(name)
    raise MalformedError("an option that sshd(8) lists", "another word")


def _quoted(text: str, at: int) -> tuple[str, int]:
    """Return a value in its quotes and the place after it; only a quote can be escaped."""
    if not text.startswith('="', at):
        raise MalformedError('="', "something else after the name of an option")
    start = at = at + 2
    while True:
        at = text.find('"', at)
        if at < 0:
            raise MalformedError("a closing quote", "the end of the options")
        if text[at - 1] != "\\":
            return text[start:at].replace('\\"', '"'), at + 1
        at += 1
