"""evidenced.toml(5), made from the settings, in mdoc(7)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.configuration.pages import sections
from agent.configuration.schema import Leaf

HEAD = r"""
.\" evidenced.toml(5). Written by `make docs` from the settings themselves.
.Dd November 21, 2026
.Dt EVIDENCED.TOML 5
.Os
.Sh NAME
.Nm evidenced.toml
.Nd configuration of evidenced
.Sh SYNOPSIS
.Pa /etc/evidenced/agent.toml
.Pp
.Pa /etc/evidenced/conf.d/*.toml
.Pp
.Pa $XDG_CONFIG_HOME/evidenced/agent.toml
.Sh DESCRIPTION
Without any file everything is read at its default interval, signed and kept on this host, and nothing leaves it.
The files are TOML 1.0: the main file, then those of
.Pa conf.d
beside it by name.
Of one setting in two files the later counts, tables merge, and
.Li [[sinks]]
of all files are joined.
An unknown name is an error;
.Ic evidenced config check
tells all problems at once, and
.Ic evidenced config show
what is in effect.
Only root or the user who reads them may be able to write to the files and to the folders above them.
.Pp
A span of time is a number with s, m, h or d; a size is a number with B, KiB, MiB, GiB or TiB; both are text in quotes.
No secret stands in the files: a setting names a file that others cannot read, or a systemd credential.
.Pp
SIGHUP makes the service read them again; a change is signed with the digest of what is in effect.
""".lstrip("\n")

TAIL = """\
.Sh SEE ALSO
.Xr evidenced 1 ,
.Xr systemd.exec 5
"""


def manual() -> str:
    """Return the manual page."""
    return HEAD + "".join(f"{line}\n" for line in _sections()) + TAIL


def _sections() -> Iterator[str]:
    yield ".Sh SETTINGS"
    for title, group in sections():
        yield f".Ss {_escaped(title or 'Outside of tables')}"
        yield _escaped(group.meaning)
        yield ".Bl -tag -width Ds"
        for name, node in group.fields.items():
            if isinstance(node, Leaf):
                yield f".It Va {name}"
                yield _escaped(f"{node.meaning}.")
                yield _escaped(f"Is {node.form.expected}; {_default(node)}.")
        yield ".El"


def _default(leaf: Leaf) -> str:
    if leaf.required:
        return "required"
    return "no default" if leaf.default is None else f"default {leaf.form.shown(leaf.default)}"


def _escaped(text: str) -> str:
    """Return text in which mdoc finds neither an escape nor, at the begin of a line, a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("`", "\\(ga")
    return "\\&" + text if text.startswith((".", "'", "[")) else text
