"""What sudo.conf(5) tells sudo's policy: src/load_plugins.c, lib/util/sudo_conf.c, plugins/sudoers/policy.c."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

import msgspec

from collectors.access.sudoers.logical_lines import BLANKS, logical_lines
from collectors.contract import Gap, path_gap

SUDO_CONF = "/etc/sudo.conf"
SUDOERS = ("/etc/sudoers", "/usr/etc/sudoers")
"""The administrator's file, and the vendor's that openSUSE reads in its absence."""

FOLDERS = ("/usr/libexec/sudo", "/usr/lib/sudo", "/usr/lib64/sudo", "/usr/local/libexec/sudo")
"""Where distributions keep sudo's own plug-ins."""
SUDOERS_SO = "sudoers.so"

_OURS = frozenset({"sudoers_policy", "sudoers_io", "sudoers_audit"})
_AUDIT_JSON = ("audit_json", "audit_json.so")  # sudo's own too; it writes a log and decides nothing
_NOWHERE = "//"  # plugin_dir without a path: sudo finds no plug-in at all
_FALSE = frozenset({"0", "false", "no", "off"})  # sudo_strtobool in strtobool.c
_KEYWORD = re.compile(r"(plugin|path)[ \t]+", re.IGNORECASE | re.ASCII)
_PLUGIN_DIR = re.compile(r"plugin_dir(?:[ \t]+(.*))?", re.IGNORECASE | re.ASCII | re.DOTALL)  # with blanks in its path
_WORD = re.compile(rf"[^{BLANKS}]+")
_INTEGER = re.compile(r"([+-]?)(?=[0-9])0*([0-9]{0,10})")

_FOREIGN = "a plugin that is not sudo's own may decide instead"
_ELSEWHERE = "sudo takes its policy from a folder that is not known for it, so another program may decide"
_RELATIVE = "the path of the sudoers file is relative: which file that is hangs on the folder that sudo is called in"
_SEVERAL = "a list of sudoers files, which sudo knows from 1.9.14 on; an older sudo takes it for one path"
_PERMISSIONS = "ignore_perms may let sudo read files that are shown here as left out for their owner or mode"


class Configuration(msgspec.Struct, frozen=True):
    """What sudo's policy was told."""

    paths: tuple[str, ...] = SUDOERS
    uid: int = 0
    gid: int = 0
    error_recovery: bool = True
    refused: bool = False
    """sudo ends before it reads any rule."""
    elsewhere: bool = False
    """sudo does not take its rules from `paths`."""
    other_sources: bool = False
    """sudo may have rules that are in no file."""


class Plugin(msgspec.Struct, frozen=True):
    """One Plugin line."""

    line: int
    symbol: str
    path: str
    options: tuple[str, ...]

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return posixpath.basename(self.path)

    @property
    def ours(self) -> bool:
        """Whether it is a part of sudoers.so, wherever that lies."""
        return self.symbol in _OURS and self.name == SUDOERS_SO


def parse_sudo_conf(text: str) -> tuple[Configuration, list[Gap]]:
    """Return what the Plugin lines come to, with gaps for what else may decide and for what sudo refuses.

    The audit plug-in opens sudoers, so that its options count; where no line names it, sudo loads it all the same
    and gives it those of the policy (since 1.9.1; before there is none). Of equal lines the first counts.
    """
    plugins: list[Plugin] = []
    gaps: list[Gap] = []
    folder, folder_line = "", 0
    for number, line in logical_lines(text):
        keyword = _KEYWORD.match(line)
        if keyword is None:
            continue
        words = _WORD.findall(line, keyword.end())
        if keyword[1].lower() == "plugin" and len(words) > 1:
            plugins.append(Plugin(number, words[0], words[1], tuple(words[2:])))
        elif keyword[1].lower() == "path" and (found := _PLUGIN_DIR.fullmatch(line, keyword.end())):
            folder, folder_line = found[1] or _NOWHERE, number
    # The name of the plug-in is set behind the folder as it is; a folder without its / at the end leads elsewhere.
    if folder and not _is_known(folder + SUDOERS_SO):
        gaps.append(path_gap(SUDO_CONF, "unenumerable", _ELSEWHERE, line=folder_line))
    gaps += [path_gap(SUDO_CONF, "unenumerable", said, line=line) for line, said in _strange(plugins)]
    own = {each.symbol: each for each in reversed(plugins) if each.ours}
    opener = own.get("sudoers_audit") or own.get("sudoers_policy")
    if opener is None:
        return Configuration(), gaps
    told, more = _told(opener)
    return told, gaps + more


def _strange(plugins: list[Plugin]) -> Iterator[tuple[int, str]]:
    """Yield (line, what is said) of each plug-in that is not known to be sudo's own."""
    for each in plugins:
        if not each.ours and (each.symbol, each.name) != _AUDIT_JSON:
            yield each.line, _FOREIGN
        elif not _is_known(each.path):
            yield each.line, _ELSEWHERE


def _is_known(path: str) -> bool:
    folder = posixpath.dirname(posixpath.normpath(path))
    return folder == "" or folder in FOLDERS


def _told(plugin: Plugin) -> tuple[Configuration, list[Gap]]:
    """Return what the options say; of an option that is given twice the last counts, but each must be right."""
    pairs = [(name, value) for name, equals, value in (each.partition("=") for each in plugin.options) if equals]
    wrong = next((name for name, value in pairs if name in _RIGHT and not _RIGHT[name](value)), None)
    if wrong is not None:
        detail = f"sudo refuses everybody, for it cannot take the value of {wrong}"
        return Configuration(refused=True), [path_gap(SUDO_CONF, "malformed", detail, line=plugin.line)]
    given = dict(pairs)
    listed = given["sudoers_file"].split(":") if "sudoers_file" in given else list(SUDOERS)
    paths = tuple(each for each in listed if each.startswith("/"))
    told = Configuration(
        paths or SUDOERS,
        _number(given.get("sudoers_uid", "0")),
        _number(given.get("sudoers_gid", "0")),
        # A word that is none of sudo_strtobool's is reported, and changes nothing.
        given.get("error_recovery", "").lower() not in _FALSE,
        elsewhere=not paths,
    )
    return told, [path_gap(SUDO_CONF, "unknown_format", said, line=plugin.line) for said in _unsure(given, paths)]


def _unsure(given: dict[str, str], paths: tuple[str, ...]) -> Iterator[str]:
    listed = given.get("sudoers_file", "")
    if ":" in listed:
        yield _SEVERAL
    if listed and len(paths) <= listed.count(":"):
        yield _RELATIVE
    if "ignore_perms" in given and given["ignore_perms"].lower() not in _FALSE:
        yield _PERMISSIONS


def _integer(text: str, base: int = 10) -> int | None:
    """Return a number of up to ten digits behind any zeros, or None."""
    parts = _INTEGER.fullmatch(text)
    try:
        return int(parts[1] + (parts[2] or "0"), base) if parts else None
    except ValueError:  # an 8 or 9 in base 8
        return None


def _number(text: str) -> int:
    return (_integer(text) or 0) & 0xFFFFFFFF


def _is_id(text: str) -> bool:
    """Return whether sudo_strtoid takes it: any number of 32 bits, but for the one that means none."""
    number = _integer(text)
    return number is not None and -0x80000000 <= number <= 0xFFFFFFFE and number != -1  # noqa: PLR2004


def _is_mode(text: str) -> bool:
    number = _integer(text, 8)
    return number is not None and 0 <= number <= 0o7777  # noqa: PLR2004


_RIGHT: dict[str, Callable[[str], bool]] = {
    "sudoers_file": bool,
    "sudoers_uid": _is_id,
    "sudoers_gid": _is_id,
    "sudoers_mode": _is_mode,
    "ldap_conf": bool,
    "ldap_secret": bool,
}
