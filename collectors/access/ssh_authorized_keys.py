"""Who may log in with which key: authorized_keys, trusted authorities and principals; sshd(8), sshd_config(5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from collectors.access.groups import GROUP
from collectors.access.ssh.authorised import Finding, findings
from collectors.access.ssh.config_files import CONFIGURATION, READ_BELOW
from collectors.access.ssh.effective import Setting, effective_settings
from collectors.access.ssh.key_lines import KeyLine, PrincipalLine
from collectors.access.ssh.key_options import Option
from collectors.access.ssh.option_values import expiry
from collectors.access.ssh.sshd_config import read_configuration
from collectors.access.users import PASSWD
from collectors.contract import HOUR_S, Gap, Row, Table, means, path_gap, shown, utc
from collectors.reading.host import Host
from collectors.reading.redaction import redacted

COMMANDS = ("authorizedkeyscommand", "authorizedprincipalscommand")


class SshAuthorizedKey(Row):
    """One key or name that opens an account over SSH, as a file of the host says."""

    user: Annotated[
        str | None,
        means("login name it opens; absent for an authority that is trusted for every user", personal=True),
    ]
    path: Annotated[str, means("file it stands in", personal=True)]
    path_b64: Annotated[str | None, means("the same in base64, if it is not UTF-8", personal=True)]
    line: Annotated[int, means("line of that file, counted from 1")]
    fingerprint: Annotated[
        str | None, means("SHA-256 of the key as ssh-keygen -l prints it; absent for a principal", personal=True)
    ]
    kind: Annotated[
        Literal["key", "authority", "certificate", "principal"],
        means(
            "key of a user, authority whose certificates are accepted, certificate (of no use here), or name that a "
            "certificate of TrustedUserCAKeys must carry"
        ),
    ]
    type: Annotated[
        str | None,
        means(
            "type of the key, also where the line has the name of a signature (rsa-sha2-512); absent for a principal"
        ),
    ]
    bits: Annotated[int | None, means("size of the key; absent if its type is not known", unit="bits")]
    signed_by: Annotated[str | None, means("of a certificate, the fingerprint of the key that signed it")]
    comment_hmac: Annotated[str | None, means("keyed hash of the comment; absent if there is none", personal=True)]
    options: Annotated[
        tuple[str, ...], means("options in their order; recognised secrets in values are redacted", personal=True)
    ]
    command: Annotated[
        str | None, means("the only command it may run; recognised secrets redacted; absent if any", personal=True)
    ]
    from_patterns: Annotated[
        tuple[str, ...] | None, means("addresses and hosts it is accepted from; absent if any", personal=True)
    ]
    principals: Annotated[
        tuple[str, ...] | None,
        means("names of which a certificate must carry one; absent if it must carry the login name", personal=True),
    ]
    expires: Annotated[
        str | None, means("end of acceptance: UTC if it ends in Z, else local time of the host; absent if none")
    ]
    refused: Annotated[str | None, means("why sshd passes the line over; absent if it does not")]
    match: Annotated[
        tuple[str, ...],
        means("conditions of the Match blocks that lead to the file; empty text stands for the global section"),
    ]
    mode: Annotated[str, means("permission bits of the file, octal")]
    owner_uid: Annotated[int, means("user id of the file's owner")]
    owner_ok: Annotated[
        bool | None,
        means(
            "whether file and folders are safe from others, as StrictModes asks (upstream's rule); absent if not "
            "known, or not asked (TrustedUserCAKeys)"
        ),
    ]
    modified: Annotated[str, means("last change of the file", time=True)]


def row_of(host: Host, found: Finding) -> SshAuthorizedKey:
    """Return the row of one line of a key file."""
    content, facts = found.line.content, found.facts
    path, path_b64 = shown(found.place.path)
    options = tuple(shareable(each) for each in content.options)
    key = content.key if isinstance(content, KeyLine) else None
    comment = content.comment if isinstance(content, KeyLine) else ""
    return SshAuthorizedKey(
        user=None if found.user is None else shown(found.user)[0],
        path=path,
        path_b64=path_b64,
        line=found.line.number,
        fingerprint=key.fingerprint if key else None,
        kind=kind_of(found),
        type=key.type if key else None,
        bits=key.bits if key else None,
        signed_by=key.ca_fingerprint if key else None,
        comment_hmac=host.pseudonym(comment) if comment else None,
        options=tuple(str(each) for each in options),
        command=value_of(options, "command"),
        from_patterns=listed(options, "from"),
        principals=(text_of(content.name),) if isinstance(content, PrincipalLine) else listed(options, "principals"),
        expires=min((expiry(each.value or "") for each in content.options if each.name == "expiry-time"), default=None),
        refused=content.refused,
        match=tuple(shown(each)[0] for each in found.place.matches),
        mode=f"{facts.mode:04o}",
        owner_uid=facts.uid,
        owner_ok=found.owner_ok,
        modified=utc(facts.mtime),
    )


def kind_of(found: Finding) -> Literal["key", "authority", "certificate", "principal"]:
    """Return what a line is, in the words of the column."""
    content = found.line.content
    if isinstance(content, PrincipalLine):
        return "principal"
    if content.key.certificate:
        return "certificate"
    return "authority" if found.user is None or Option("cert-authority") in content.options else "key"


def shareable(option: Option) -> Option:
    """Return an option as it may stand in a row."""
    return option if option.value is None else Option(option.name, text_of(option.value))


def text_of(value: str) -> str:
    """Return a value as it may stand in a row: UTF-8, secrets redacted."""
    return redacted(shown(value)[0])


def value_of(options: tuple[Option, ...], name: str) -> str | None:
    """Return the value of an option that stands at most once; None without it."""
    return next((each.value for each in options if each.name == name), None)


def listed(options: tuple[Option, ...], name: str) -> tuple[str, ...] | None:
    """Return the parts of an option that holds a list separated by commas; None without it."""
    value = value_of(options, name)
    return None if value is None else tuple(value.split(","))


def unlisted(settings: list[Setting]) -> Iterator[Gap]:
    """Yield a gap for each program that sshd asks for keys or names, one user at a time."""
    for each in settings:
        if each.name in COMMANDS and each.value.lower() != "none":
            yield path_gap(
                each.directive.path,
                "unenumerable",
                f"{each.name} answers for one user at a time and cannot be listed",
                line=each.directive.line,
            )


def collect(host: Host) -> Iterable[SshAuthorizedKey | Gap]:
    """Yield every key, authority and principal that a file of the host lists for one of its own users."""
    configuration = read_configuration(host)
    if not configuration.absent:  # without sshd, the default files count for whatever server may come
        yield from configuration.gaps
    settings = list(effective_settings(configuration.directives))
    yield from unlisted(settings)
    for each in findings(host, settings):
        yield each if isinstance(each, Gap) else row_of(host, each)


TABLE = Table(
    "ssh_authorized_keys",
    SshAuthorizedKey,
    key=("user", "path", "path_b64", "line", "fingerprint"),
    reads=(PASSWD, GROUP, *READ_BELOW, "*/.ssh/authorized_keys", "*/.ssh/authorized_keys2", "*"),
    collect=collect,
    needs=("CAP_DAC_READ_SEARCH",),
    interval_s=HOUR_S,
    watches=(PASSWD, GROUP, *CONFIGURATION, "{home}/.ssh/authorized_keys", "{home}/.ssh/authorized_keys2"),
    care=(
        "Users are those of this host's passwd; keys that a program gives to sshd (AuthorizedKeysCommand) cannot be "
        "listed and are a gap. Paths come from the configuration of sshd with its Match blocks: a file that counts "
        "only for some connections is listed with the condition. Of a path with wildcards, which OpenSSH reads since "
        "10.0, the files that fit it are listed and the one of that very name. Below a user's home no symbolic link is "
        "followed. A large file is listed to its end after the first lines of all users, while there is room; what "
        "is left out is counted. A port may be the name of a service: whether the host knows it is not asked. "
        "A row does not say that sshd accepts the type or size of a key, nor that the account is not locked: compare "
        "`sshd_settings` and `password_status`."
    ),
)
