"""Settings of the SSH server, from `sshd -T` and from /etc/ssh/sshd_config; see sshd_config(5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from collectors.access.ssh.config_files import CONFIGURATION, READ_BELOW
from collectors.access.ssh.effective import Setting, effective_settings
from collectors.access.ssh.effective_output import parse_effective
from collectors.access.ssh.match_block import scope_text
from collectors.access.ssh.sshd_config import MAIN_FILES, Configuration, read_configuration
from collectors.contract import HOUR_S, Gap, MalformedError, Row, Table, UnsupportedError, means, shown
from collectors.reading.commands import SSHD_TEST
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host
from collectors.reading.redaction import redacted

PROGRAM = SSHD_TEST.argv[0]

ALGORITHMS = ("algorithms", "ciphers", "keytypes", "macs")
"""Ends of the names of settings that list algorithms, whose names look like tokens (sk-ssh-ed25519...)."""

Effective = dict[str, tuple[str, ...]]


class SshdSetting(Row):
    """One value of the SSH server's configuration, in the global section or in a Match block."""

    setting: Annotated[str, means("name in lower case, as the current sshd_config(5) has it")]
    match: Annotated[
        str, means("conditions of the Match block, joined where blocks are nested; empty for every connection")
    ]
    index: Annotated[int, means("0, or the place among several values of one setting (AcceptEnv, Port, HostKey)")]
    value: Annotated[str, means("value that counts; recognised secrets are redacted", personal=True)]
    configured: Annotated[
        str | None,
        means("value as the files have it, several joined by '; '; absent if none sets it", personal=True),
    ]
    source: Annotated[str | None, means("file that sets it; absent for a default of sshd")]
    source_b64: Annotated[str | None, means("the same in base64, if the path is not UTF-8")]
    line: Annotated[int | None, means("line of that file, counted from 1")]
    method: Annotated[
        Literal["sshd -T", "parsed"],
        means("sshd -T: the server said so itself, defaults included; parsed: read from the files"),
    ]


def text_of(value: str, setting: str = "") -> str:
    """Return a value as it may stand in a row: UTF-8, secrets redacted."""
    text = shown(value)[0]
    return text if setting.endswith(ALGORITHMS) else redacted(text)


def parsed_row(setting: Setting) -> SshdSetting:
    """Return the row of a setting that is known from the files alone."""
    source, source_b64 = shown(setting.directive.path)
    value = text_of(setting.value, setting.name)
    return SshdSetting(
        setting=text_of(setting.name),
        match=text_of(scope_text(setting.scope)),
        index=setting.index,
        value=value,
        configured=value,
        source=source,
        source_b64=source_b64,
        line=setting.directive.line,
        method="parsed",
    )


def effective_rows(name: str, values: tuple[str, ...], configured: list[Setting]) -> Iterator[SshdSetting]:
    """Yield the rows of one setting of `sshd -T`, each with the directive it comes from.

    Where the server made more or fewer values out of the directives (ListenAddress with two ports), each row
    names all of them.
    """
    paired = len(values) == len(configured)
    for index, value in enumerate(values):
        directives = configured[index : index + 1] if paired else configured
        source, source_b64 = shown(directives[0].directive.path) if directives else (None, None)
        yield SshdSetting(
            setting=name,
            match="",
            index=index,
            value=text_of(value, name),
            configured="; ".join(text_of(each.value, name) for each in directives) if directives else None,
            source=source,
            source_b64=source_b64,
            line=directives[0].directive.line if directives else None,
            method="sshd -T",
        )


def merged(effective: Effective, configuration: Configuration) -> Iterator[SshdSetting]:
    """Yield what the server says of every connection, and from the files what it does not say."""
    settings = list(effective_settings(configuration.directives, frozenset(effective)))
    everywhere: dict[str, list[Setting]] = {}
    for each in settings:
        if not each.scope and each.name in effective:
            everywhere.setdefault(each.name, []).append(each)
        else:
            yield parsed_row(each)
    for name, values in effective.items():
        yield from effective_rows(name, values, everywhere.get(name, []))


def ask(host: Host) -> Effective | Gap | None:
    """Return what `sshd -T` prints, the gap it leaves, or None where it cannot be run at all (an image).

    It fails, among other reasons, for a user who may not read the host keys, and in older versions if a Match
    block asks about the connection: the files are read all the same.
    """
    try:
        return parse_effective(host.run(SSHD_TEST))
    except AbsentError:
        return None
    except ReadError as error:
        return error.gap()
    except MalformedError as error:
        return Gap(SSHD_TEST.source, "command_failed", str(error))


def collect(host: Host) -> Iterable[SshdSetting | Gap]:
    """Yield every value that counts somewhere, each with the way it was learnt."""
    configuration = read_configuration(host)
    if configuration.absent and not installed(host):
        raise UnsupportedError(f"neither {PROGRAM} nor {MAIN_FILES[0]} is there")
    yield from configuration.gaps
    effective = ask(host)
    if isinstance(effective, Gap):
        yield effective
    yield from merged(effective if isinstance(effective, dict) else {}, configuration)


def installed(host: Host) -> bool:
    """Return whether the server's program stands where it belongs, or cannot be looked at."""
    try:
        host.look(PROGRAM, follow=True)
    except AbsentError:
        return False
    except ReadError:
        return True
    return True


TABLE = Table(
    "sshd_settings",
    SshdSetting,
    key=("setting", "match", "index"),
    reads=(*READ_BELOW, SSHD_TEST.source),
    collect=collect,
    needs=("CAP_DAC_READ_SEARCH",),
    interval_s=HOUR_S,
    watches=CONFIGURATION,
    care=(
        "Where `sshd -T` can be run, values of the global section come from it, defaults included, and `configured` "
        "shows what the files say. Elsewhere, and inside Match blocks always, values are read from the files: a "
        "setting without a row has sshd's default of its version, which is not guessed. Of several directives the "
        "first counts; for IPQoS, MaxStartups and a few others that changed between versions all are listed. "
        "Options on sshd's own command line (-o, -f) are not seen."
    ),
)
