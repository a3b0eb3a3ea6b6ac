"""Who may run what as whom, from sudoers and all that it includes; format in sudoers(5) of sudo 1.9."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from collectors.access.sudoers.columns import Columns, columns_of
from collectors.access.sudoers.configuration import configuration_of
from collectors.access.sudoers.files import Ignored
from collectors.access.sudoers.sources import NSSWITCH
from collectors.access.sudoers.strictness import first_fault
from collectors.access.sudoers.sudo_conf import SUDO_CONF, SUDOERS, Configuration
from collectors.access.sudoers.walk import Line, Place, Seen, Walk
from collectors.contract import HOUR_S, Gap, Row, Table, UnsupportedError, means, path_gap, shown
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host

PROGRAMS = ("/usr/bin/sudo", "/usr/local/bin/sudo", "/bin/sudo")
HOST_NAMES = ("/proc/sys/kernel/hostname", "/etc/hostname")
_DEFINED = "the alias is defined before; sudo keeps the first definition, and leaves out the rest of this line"

TEXT = 32 << 20
"""How many characters the rows may have in all: one line can name a thousand users and a thousand commands."""

Kind = Literal[
    "file", "folder", "include", "defaults", "user_alias", "runas_alias", "host_alias", "cmnd_alias", "rule",
    "unparsed",
]  # fmt: skip


class SudoRule(Row):
    """One command of a rule, setting, alias, include or file of sudoers. sudo lets the last matching rule count."""

    file: Annotated[str, means("file it stands in; of a file or folder, its own path")]
    file_b64: Annotated[str | None, means("the same in base64, if it is not UTF-8")]
    reading: Annotated[int, means("1, or more if sudo reads the file again because it is included again")]
    line: Annotated[int, means("line on which it begins, counted from 1; 0 of a file or folder")]
    index: Annotated[int, means("place among the rows of that line, counted from 1; 0 of a file or folder")]
    order: Annotated[int, means("place in the order in which sudo reads everything, counted from 1")]
    kind: Annotated[Kind, means("what the row is; an alias may have several rows, one for each command")]
    ignored: Annotated[
        Ignored | None,
        means(
            "why sudo does not act on it (its file is unsafe, the line is refused, sudo asks elsewhere); absent if "
            "sudo does"
        ),
    ]
    unparsed: Annotated[
        bool, means("whether there is more than the row shows: text that could not be parsed, a file not read")
    ]
    users: Annotated[
        tuple[str, ...],
        means(
            "who, in the notation of sudoers(5): ALL, ALIAS, name, #uid, %group, %#gid, %:group, +netgroup, each "
            "after ! if negated; in double quotes what would else be read as another kind. The last match counts",
            personal=True,
        ),
    ] = ()
    hosts: Annotated[tuple[str, ...], means("on which hosts, notation as for users, and addresses")] = ()
    runas_users: Annotated[
        tuple[str, ...] | None,
        means(
            "as which users, inherited or written; absent if neither (runas_default, so root); empty if only "
            "as oneself",
            personal=True,
        ),
    ] = None
    runas_groups: Annotated[
        tuple[str, ...] | None, means("as which groups; absent with runas_users, empty if none is named")
    ] = None
    command: Annotated[
        str | None,
        means("ALL, an ALIAS, a path, `^regex$`, `sudoedit` or `list`; of Defaults, what they are bound to, or absent"),
    ] = None
    arguments: Annotated[
        str | None,
        means("arguments, with wildcards or as `^regex$`; empty if none may be given; absent if any may"),
    ] = None
    negated: Annotated[bool, means("whether ! stands before the command")] = False
    digests: Annotated[tuple[str, ...], means("digests of which the command must have one, as written")] = ()
    tags: Annotated[
        tuple[str, ...],
        means("tags, inherited or written, such as NOPASSWD; ALL that is not negated implies SETENV besides"),
    ] = ()
    options: Annotated[tuple[str, ...], means("options as NAME=value, inherited or written")] = ()
    alias: Annotated[str | None, means("name of the alias that is defined")] = None
    setting: Annotated[str | None, means("name of the setting of a Defaults line")] = None
    operator: Annotated[
        Literal["on", "off", "=", "+=", "-="] | None, means("what is done to the setting; off is written with !")
    ] = None
    value: Annotated[str | None, means("value of the setting; recognised secrets in it are redacted")] = None
    target: Annotated[str | None, means("path that an include means; absent if it needs an unknown host name")] = None
    target_b64: Annotated[str | None, means("the same in base64, if it is not UTF-8")] = None
    mode: Annotated[str | None, means("permission bits of the file or folder, octal; absent if not known")] = None
    owner_uid: Annotated[int | None, means("user id of its owner; absent if not known")] = None
    owner_gid: Annotated[int | None, means("group id of its owner; absent if not known")] = None


def collect(host: Host) -> Iterator[SudoRule | Gap]:
    """Yield the rows of every file in sudo's order; an alias that is defined again is ignored, as by sudo."""
    configuration, gaps = configuration_of(host)
    main = _main(host, configuration.paths)
    yield from gaps
    refused, fault = _refused(host, configuration, main)
    if fault:
        yield fault
    order, text = 0, 0
    defined: set[tuple[str, str]] = set()  # two sets, since sudo does not see what it ignores
    ignored: set[tuple[str, str]] = set()
    last: dict[Place, tuple[int, int]] = {}
    for event in Walk(host, configuration, lambda: _host_name(host)).events(main, refused):
        if isinstance(event, Gap):
            yield event
            continue
        for columns in (
            _seen(event) if isinstance(event, Seen) else _line(event, ignored if event.place.ignored else defined, last)
        ):
            order, text = order + 1, text + _size(columns)
            if text > TEXT:
                yield path_gap(main, "truncated", f"expected rows of at most {TEXT} characters, found more")
                return
            yield SudoRule(order=order, **columns)
            if columns["ignored"] == "defined_before":
                yield path_gap(event.place.path, "malformed", _DEFINED, line=columns["line"])


def _refused(host: Host, configuration: Configuration, main: str) -> tuple[Ignored | None, Gap | None]:
    """Return why sudo acts on nothing in its files, and the fault in them that is the cause, if one is."""
    if configuration.refused:
        return "policy_refused", None
    if configuration.elsewhere:
        return "not_asked", None
    if configuration.error_recovery:
        return None, None
    # One fault anywhere counts for every row, the first too: read all for it before.
    fault = first_fault(Walk(host, configuration, lambda: _host_name(host)).events(main))
    return ("policy_refused" if fault else None), fault


def _seen(event: Seen) -> Iterator[Columns]:
    facts = event.facts
    known = {} if facts is None else {"mode": f"{facts.mode:04o}", "owner_uid": facts.uid, "owner_gid": facts.gid}
    yield _where(event.place, 0, 0) | {"kind": event.kind, "unparsed": event.unread} | known


def _line(event: Line, defined: set[tuple[str, str]], last: dict[Place, tuple[int, int]]) -> Iterator[Columns]:
    """Yield the rows of a statement; `last` holds the line and index of the last row of each file so far."""
    number = event.statement.line
    line, index = last.get(event.place, (0, 0))
    for columns in columns_of(event, defined):
        line, index = number, index + 1 if line == number else 1
        last[event.place] = (line, index)
        row = _where(event.place, number, index) | columns
        yield row | {"ignored": event.place.ignored or row["ignored"]}


def _where(place: Place, line: int, index: int) -> Columns:
    file, file_b64 = shown(place.path)
    return {
        "file": file,
        "file_b64": file_b64,
        "reading": place.reading,
        "line": line,
        "index": index,
        "ignored": place.ignored,
        "unparsed": False,
    }


def _size(columns: Columns) -> int:
    texts = (each for value in columns.values() for each in (value if isinstance(value, tuple) else (value,)))
    return sum(len(each) for each in texts if isinstance(each, str))


def _main(host: Host, paths: tuple[str, ...]) -> str:
    """Return the first of sudo's main files that is there; else the first, if sudo is."""
    present = [path for path in paths if _stands(host, path)]
    if not present and not any(_stands(host, program) for program in PROGRAMS):
        raise UnsupportedError("sudo is not installed, and there is no sudoers file")
    return (present or list(paths))[0]


def _stands(host: Host, path: str) -> bool:
    try:
        host.look(path, follow=True)
    except AbsentError:
        return False
    except ReadError:
        return True
    return True


def _host_name(host: Host) -> str | None:
    """Return the short name of the host, for `%h`; of an image, as it is configured."""
    for path in HOST_NAMES:
        try:
            name = host.read(path, limit=1024).data.decode("utf-8", "surrogateescape").strip().partition(".")[0]
        except ReadError:
            continue
        if name:
            return name
    return None


TABLE = Table(
    "sudo_rules",
    SudoRule,
    key=("file", "file_b64", "line", "index", "reading"),
    reads=(*SUDOERS, "/etc/sudoers.d/*", SUDO_CONF, NSSWITCH, *HOST_NAMES, "*"),
    collect=collect,
    needs=("CAP_DAC_READ_SEARCH",),
    interval_s=HOUR_S,
    watches=(*SUDOERS, "/etc/sudoers.d/", SUDO_CONF, NSSWITCH),
    care=(
        "Aliases are rows of their own and are not expanded; groups, netgroups and host names are as written. A row "
        "with a reason in `ignored` gives nobody anything. Rules in LDAP or SSSD are a gap, and so is each line "
        "that sudo would refuse, and each plug-in in sudo.conf that is not sudo's own. A setting of Defaults is as "
        "written: sudo reports one that it does not know or whose value it cannot take, and goes on without it. "
        "Commands and options as of sudo 1.9.13: an older sudo refuses the lines that use "
        "what it does not know, and PRIVS and LIMITPRIVS are known on Solaris only."
    ),
)
