"""Every setting of agent.toml: its type, form, limits, default and meaning. The pages about it are made from here."""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent.configuration import forms, texts
from agent.configuration.forms import Flag, Form, Listed, Number
from agent.labels import VALUE_LIMIT
from evidence.prune import RETENTION_DAYS

MINUTE, HOUR, DAY = 60, 3600, 86400
KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40


def setting(form: Form, meaning: str) -> msgspec.Meta:
    """Return the annotation of a setting: how it is written, and what it means."""
    return msgspec.Meta(description=meaning, extra={"form": form})


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the file; each field is a setting with its annotation, or another section."""


class Pressure(Section, frozen=True):
    """Load of the host (PSI, share of the last 10 s in which something waited) above which a due reading waits."""

    cpu: Annotated[int, setting(Number(0, 100), "percent in which something waited for a processor; 0: never wait")] = (
        80
    )
    memory: Annotated[int, setting(Number(0, 100), "percent in which something waited for memory; 0: never wait")] = 20
    io: Annotated[int, setting(Number(0, 100), "percent in which something waited for a disk; 0: never wait")] = 60


class Schedule(Section, frozen=True):
    """When tables are read; each has an interval of its own, see [tables.NAME]."""

    heartbeat: Annotated[
        int, setting(forms.span(MINUTE, DAY), "a signed sign of life when nothing else was signed for so long")
    ] = HOUR
    jitter: Annotated[
        int, setting(forms.span(0, HOUR), "each reading is put off by a random part of this, so that hosts spread")
    ] = 2 * MINUTE
    minimum_distance: Annotated[
        int,
        setting(
            forms.span(1, HOUR),
            "least time between the beginnings of two readings of one table, whatever changes; "
            "changes that do not end are read every 45 s after the first thirty times",
        ),
    ] = 5
    pause_limit: Annotated[
        int,
        setting(forms.span(0, DAY), "a reading that waits for pressure to pass is made after this time all the same"),
    ] = 30 * MINUTE
    pressure: Pressure = Pressure()


class TableSettings(Section, frozen=True):
    """One table of the catalogue, by its name."""

    interval: Annotated[
        int | None,
        setting(forms.span(MINUTE, 31 * DAY), "read again within this time; absent: the table's own interval"),
    ] = None
    enabled: Annotated[bool, setting(Flag(), "false: not read, and each snapshot says that it is disabled")] = True


class Watches(Section, frozen=True):
    """Watches on files that notice a change when it happens.

    Watched are the files that tables name: of accounts and groups, of sudo, of SSH with `.ssh/authorized_keys` in each
    home, of packages, and of the host's name, release and time zone. Read on schedule only is what those files lead to
    elsewhere (an `AuthorizedKeysFile` in another place, includes from outside of `sshd_config.d` or `sudoers.d`), and
    what the walk of all file systems finds. No table of this version reads PAM, certificates, units or crontabs, so
    they are not watched either.
    """

    enabled: Annotated[bool, setting(Flag(), "false: changes are noticed at the next scheduled reading")] = True


class ChildLimits(Section, frozen=True):
    """What one collecting child may use; a table that needs more is `failed`, with the reason, in signed evidence."""

    cpu: Annotated[int, setting(forms.span(10, HOUR), "processor time of the child of one table")] = 120
    sweep_cpu: Annotated[
        int, setting(forms.span(MINUTE, 12 * HOUR), "processor time of the child that walks all file systems")
    ] = 1800
    memory: Annotated[int, setting(forms.size(64 * MIB, 8 * GIB), "memory of one child (RLIMIT_DATA)")] = 512 * MIB


class Privacy(Section, frozen=True):
    """What is left out of rows although it could be read."""

    drop: Annotated[
        tuple[str, ...],
        setting(
            Listed(texts.column(), "columns"),
            "columns about people that are null in every row; docs/privacy.md lists those that can be dropped",
        ),
    ] = ()


class Retention(Section, frozen=True):
    """How long rows are kept on this host; statements, hashes and signatures stay for ever."""

    days: Annotated[int, setting(Number(1, 36500), "days that rows are kept")] = RETENTION_DAYS
    prune_every: Annotated[
        int,
        setting(
            forms.span(HOUR, 31 * DAY),
            "how often rows past their days are removed; none are while nobody vouches for the clock (its time source, "
            "or a hub that cosigned within a day)",
        ),
    ] = DAY


class Outbox(Section, frozen=True):
    """Batches that wait for delivery."""

    limit: Annotated[
        int,
        setting(
            forms.size(64 * MIB, 16 * TIB),
            "bytes that batches may take up; past it the oldest are replaced by batches without rows, which is signed",
        ),
    ] = GIB


class Upload(Section, frozen=True):
    """How batches leave; they are tried for as long as it takes."""

    rate: Annotated[int, setting(forms.size(KIB, 16 * GIB), "bytes a second to one sink, at most")] = MIB
    jitter: Annotated[
        int, setting(forms.span(0, HOUR), "a delivery is put off by a random part of this, so that hosts spread")
    ] = MINUTE


class Sink(Section, frozen=True, tag_field="type"):
    """Where batches go; several sinks each have their own progress."""

    name: Annotated[str, setting(texts.name(), "name of the sink, in status and progress; once in all files")]


class Directory(Sink, frozen=True, tag="directory"):
    """A folder: a stick, a share, the way over an air gap."""

    path: Annotated[str, setting(texts.path(), "folder that batches are put into; it must exist")]


class Remote(Sink, frozen=True):
    """A server: how to reach it, and how both sides know each other."""

    url: Annotated[str | None, setting(texts.url(), "address of the folder that batches are put into")] = None
    ca_file: Annotated[
        str | None, setting(texts.path(), "PEM file of the authorities that are trusted; absent: those of the system")
    ] = None
    pin_sha256: Annotated[
        tuple[str, ...],
        setting(
            Listed(forms.fingerprint(), "SHA-256 fingerprints of 64 hexadecimal digits, with or without colons", 16),
            "the server's certificate or public key (SPKI) must be one of these, beside all other checks",
        ),
    ] = ()
    client_certificate: Annotated[
        str | None, setting(texts.path(), "PEM file of the certificate that this host shows (mTLS)")
    ] = None
    client_key: Annotated[str | None, setting(texts.path(), "PEM file of its private key; a secret")] = None
    client_key_credential: Annotated[
        str | None, setting(texts.credential(), "systemd credential that holds the private key, in place of a file")
    ] = None
    token_file: Annotated[
        str | None, setting(texts.path(), "file with the token that is sent as Authorization: Bearer; a secret")
    ] = None
    token_credential: Annotated[
        str | None, setting(texts.credential(), "systemd credential that holds the token, in place of a file")
    ] = None
    proxy: Annotated[str | None, setting(texts.proxy(), "HTTP proxy; absent: none, whatever the environment says")] = (
        None
    )


class HttpPut(Remote, frozen=True, tag="http-put"):
    """Any store that takes a file by HTTP PUT: WebDAV, an artifact server, a container with a signed URL."""

    url_file: Annotated[
        str | None,
        setting(
            texts.path(),
            "file with the address, in place of url, where its query or path grants access; a secret. "
            "The batch's name is put behind its path, in front of its query",
        ),
    ] = None
    url_credential: Annotated[
        str | None, setting(texts.credential(), "systemd credential that holds the address, in place of a file")
    ] = None
    confirm: Annotated[
        str,
        setting(
            texts.choice("read-back", "status"),
            '"read-back": delivered once the file was read back and is the same; "status": once the server says so',
        ),
    ] = "read-back"
    user: Annotated[
        str | None,
        setting(
            texts.matching(r"[!-9;-~]{1,255}", "1 to 255 ASCII characters without space and :"),
            "name for HTTP Basic; the token is then the password",
        ),
    ] = None


class Hub(Remote, frozen=True, tag="hub"):
    """A hub that speaks docs/hub-protocol.md and acknowledges with a signature."""

    url: Annotated[str, setting(texts.url(), "address of the hub")]
    vkey: Annotated[
        str | None,
        setting(
            texts.verifier(),
            "the hub's key; absent: the one that `evidenced enroll` pinned",
        ),
    ] = None


class Configuration(Section, frozen=True):
    """All settings. With an empty file everything is read at its default interval and nothing leaves the host."""

    organisation: Annotated[str | None, setting(texts.plain(100), "name of the organisation, as packs show it")] = None
    labels: Annotated[
        dict[
            Annotated[str, setting(texts.label_key(), "key of a label")],
            Annotated[str, setting(texts.plain(VALUE_LIMIT), "value of the label")],
        ],
        msgspec.Meta(description="Labels of this host, signed in every statement: KEY = TEXT, at most 64."),
    ] = {}
    schedule: Schedule = Schedule()
    tables: Annotated[
        dict[Annotated[str, setting(texts.table_name(), "name of a table")], TableSettings],
        msgspec.Meta(description="Settings of single tables; `evidenced tables` lists names and default intervals."),
    ] = {}
    watches: Watches = Watches()
    limits: ChildLimits = ChildLimits()
    privacy: Privacy = Privacy()
    retention: Retention = Retention()
    outbox: Outbox = Outbox()
    upload: Upload = Upload()
    sinks: tuple[Directory | HttpPut | Hub, ...] = ()
