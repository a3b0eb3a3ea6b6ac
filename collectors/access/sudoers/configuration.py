"""Where sudo finds its rules: the policy's arguments in sudo.conf(5), and the sources in nsswitch.conf."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from collectors.contract import Gap, path_gap
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host

SUDO_CONF = "/etc/sudo.conf"
NSSWITCH = "/etc/nsswitch.conf"
SUDOERS = ("/etc/sudoers", "/usr/etc/sudoers")
"""The administrator's file, and the vendor's that openSUSE reads in its absence."""

_OURS = frozenset({"sudoers_policy", "sudoers_io", "sudoers_audit"})
_FALSE = frozenset({"0", "false", "no", "off", "never"})


class Configuration(msgspec.Struct, frozen=True):
    """What sudo's policy was told."""

    paths: tuple[str, ...] = SUDOERS
    uid: int = 0
    gid: int = 0
    error_recovery: bool = True
    foreign_plugins: tuple[int, ...] = ()
    """Lines of sudo.conf that load a plugin which is not sudo's own: it may decide instead."""


def parse_sudo_conf(text: str) -> Configuration:
    """Return what the Plugin lines of sudo.conf say; what is not a number there is left at its default."""
    given: dict[str, str] = {}
    foreign = []
    for number, line in _logical_lines(text):
        words = line.split()
        if len(words) < 3 or words[0] != "Plugin":  # noqa: PLR2004  Plugin symbol path [options]
            continue
        if words[1] == "sudoers_policy":
            given |= dict(option.partition("=")[::2] for option in words[3:])
        elif words[1] not in _OURS:
            foreign.append(number)
    # Several paths may be given from sudo 1.9.14 on; the first that is there counts.
    paths = tuple(each for each in given.get("sudoers_file", "").split(":") if each.startswith("/"))
    return Configuration(
        paths or SUDOERS,
        _number(given.get("sudoers_uid")),
        _number(given.get("sudoers_gid")),
        given.get("error_recovery", "").lower() not in _FALSE,
        tuple(foreign),
    )


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield (number, line) with continued lines joined and comments taken away."""
    joined, first = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        first = first or number
        joined += line.partition("#")[0].strip()
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        yield first, joined
        joined, first = "", 0
    if joined:
        yield first, joined


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 10 else 0  # noqa: PLR2004


def other_sources(text: str) -> tuple[int, tuple[str, ...]]:
    """Return (line, sources other than files) of the sudoers entry in nsswitch.conf; line 0 if there is none."""
    for number, line in enumerate(text.split("\n"), start=1):
        name, colon, sources = line.partition("#")[0].partition(":")
        if colon and name.strip().lower() == "sudoers":
            return number, tuple(each for each in sources.split() if each in ("ldap", "sss"))
    return 0, ()


def configuration_of(host: Host) -> tuple[Configuration, list[Gap]]:
    """Return what the host's sudo was told, with gaps for what else may give it rules."""
    gaps: list[Gap] = []
    configuration = parse_sudo_conf(_text(host, SUDO_CONF, gaps))
    foreign = "a plugin that is not sudo's own may decide"
    gaps += [path_gap(SUDO_CONF, "unenumerable", foreign, line=each) for each in configuration.foreign_plugins]
    line, others = other_sources(_text(host, NSSWITCH, gaps))
    if others:
        detail = f"rules come from {' and '.join(others)} as well, which cannot be listed from here"
        gaps.append(path_gap(NSSWITCH, "unenumerable", detail, line=line))
    return configuration, gaps


def _text(host: Host, path: str, gaps: list[Gap]) -> str:
    try:
        return host.read(path).data.decode("utf-8", "surrogateescape")
    except AbsentError:
        return ""
    except ReadError as error:
        gaps.append(error.gap())
        return ""
