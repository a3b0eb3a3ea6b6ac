"""Where sudo finds its rules on a host: what sudo.conf tells its policy, and the sources in nsswitch.conf."""

from __future__ import annotations

import msgspec

from collectors.access.sudoers.files import unsafe
from collectors.access.sudoers.sources import DIRECTORIES, FILES, NSSWITCH, Source, sources_of
from collectors.access.sudoers.sudo_conf import FOLDERS, SUDO_CONF, SUDOERS_SO, Configuration, parse_sudo_conf
from collectors.contract import Gap, path_gap
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import MIB, Host

_BUILT = {"ldap": (b"sudo_ldap_open", b"libldap"), "sss": (b"sudo_sss_open", b"libsss_sudo")}
"""What a plug-in holds that can ask a directory: its function's name, for the debug log, and the library."""
_ALWAYS = b"sudo_file_open"  # the function for the files: without its name the others' are not to be expected
_PLUGIN_BYTES = 8 * MIB
_NO_GROUP = -1  # sudo_conf_read: no group may write to sudo.conf, not even root's
_UNSAFE = "sudo takes nothing from it, for it is not root's or others may write to it"


def configuration_of(host: Host) -> tuple[Configuration, list[Gap]]:
    """Return what the host's sudo was told, with gaps for what else may give it rules."""
    gaps: list[Gap] = []
    configuration, more = parse_sudo_conf(_text(host, SUDO_CONF, gaps))
    gaps += more
    text = _text(host, NSSWITCH, gaps)
    line, sources = sources_of(text)
    built = _built(host) if any(each.name != FILES for each in sources) else ()
    if built is not None:
        line, sources = sources_of(text, built)
    others = " and ".join(each.name for each in sources if each.name != FILES)
    if not others:
        return configuration, gaps
    asked = any(each.name == FILES for each in sources)
    if asked:
        said = f"rules come from {others} as well, which cannot be listed from here{_before_files(sources)}"
    elif built:
        said = f"rules come from {others} alone, which cannot be listed from here"
    else:
        said = f"a sudo that is built for {others} takes its rules from there alone, another from its files"
    gaps.append(path_gap(NSSWITCH, "unenumerable", said, line=line))
    elsewhere = configuration.elsewhere or (built is not None and not asked)
    return msgspec.structs.replace(configuration, elsewhere=elsewhere, other_sources=True), gaps


def _before_files(sources: tuple[Source, ...]) -> str:
    """Return in which cases sudo does not come to the files."""
    before = sources[: [each.name for each in sources].index(FILES)]
    return "".join(f"; where {each.name} {each.ends}, sudo does not ask the files" for each in before if each.ends)


def _built(host: Host) -> tuple[str, ...] | None:
    """Return the directories that sudo's own plug-in can ask, or None if the plug-in cannot be looked into."""
    for folder in FOLDERS:
        try:
            content = host.read(f"{folder}/{SUDOERS_SO}", limit=_PLUGIN_BYTES)
        except AbsentError:
            continue
        except ReadError:
            return None
        if content.truncated or _ALWAYS not in content.data:
            return None
        return tuple(each for each in DIRECTORIES if any(mark in content.data for mark in _BUILT[each]))
    return None


def _text(host: Host, path: str, gaps: list[Gap]) -> str:
    """Return the text of a file, empty where sudo has none of it; what we lack of it is a gap."""
    try:
        content = host.read(path)
    except AbsentError:
        return ""
    except ReadError as error:
        gaps.append(error.gap())
        return ""
    if path == SUDO_CONF and unsafe(content.facts, "file", uid=0, gid=_NO_GROUP):
        gaps.append(path_gap(path, "untrusted", _UNSAFE))
        return ""
    if content.truncated:
        gaps.append(path_gap(path, "truncated", f"expected at most {len(content.data)} bytes, found more"))
    return content.data.decode("utf-8", "surrogateescape")
