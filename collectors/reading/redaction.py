"""Secrets in text that is itself the fact: arguments in sudoers, `command=` of an SSH key.

What is recognised becomes `<redacted:detector>`; the rest stays as it is. Recognition errs towards hiding: a
value that only looks like a secret is lost, and the detector's name says why. Nothing is recognised by what it
means: a password that stands alone as a plain word is not found; docs/privacy.md says so.

Each detector takes time linear in the text: a pattern either cannot fail once it has begun to repeat, or
begins at most once in a run of the characters that it repeats.
"""

from __future__ import annotations

import math
import re
from collections import Counter

_NAMES = (
    r"(?:passwo?r?d|passphrase|passcode|pwd|secret|token|credentials?"
    r"|(?:api|access|secret|private|auth|account|encryption|signing|master|license)[_-]?key"
    r"|(?<![a-z])pass|(?<![a-z])psk)"
)
_QUOTED = r"\"[^\"\\]*(?:\\.[^\"\\]*)*(?:\"\S*|\\?\Z)|'[^']*(?:'\S*|\Z)"
# A value of nothing but wildcards says what a rule allows, and what was hidden already keeps its detector.
_VALUE = rf"(?![*?.^$+]+(?:\s|\Z)|<redacted:[a-z_]+>(?:\s|\Z))(?:{_QUOTED}|\S+)"

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.DOTALL))
    for name, pattern in (
        ("pem", r"-----BEGIN [A-Z0-9 ]{1,40}-----.*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)"),
        ("jwt", r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"),
        ("aws_key", r"(?<![A-Z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
        ("github_token", r"(?:gh[opsur]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
        ("gitlab_token", r"gl(?:agent|cbt|dt|ffct|ft|imt|oas|pat|ptt|rt|soat)-[\w.-]{20,}"),
        ("slack_token", r"(?:xox[a-z]-|xapp-)[\w-]{10,}|(?<=hooks\.slack\.com/)[\w/-]{10,}"),
        ("api_key", r"AIza[\w-]{35}|[rs]k_(?:live|test)_\w{16,}|npm_\w{36}|pypi-[\w-]{40,}|hf_[A-Za-z]{30,}"),
        ("api_key", r"(?<![\w-])(?:sk-[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|hv[bs]\.[\w-]{20,})"),
        ("age_key", r"AGE-SECRET-KEY-1[A-Z0-9]{20,}"),
        ("password_hash", r"\$(?:1|2[abxy]|5|6|7|y|gy|apr1|argon2id?|argon2i|scrypt)\$\S+"),
        ("authorization", rf"(?i:(?<=authorization)[\"']?\s?[:=]\s?(?:[a-z]{{1,12}}\s)?{_VALUE})"),
        ("authorization", rf"(?i:(?<=bearer )(?!token\b){_VALUE})"),
    )
)
_ASSIGNED = re.compile(rf"(?is:({_NAMES}[\"']?\s?[=:](?:\s(?!-))?)({_VALUE}))")
_OPTION = re.compile(rf"(?is:((?<!\S)[\"']?--?[a-z0-9_-]{{0,40}}{_NAMES}\s+)((?!-){_VALUE}))")
_WORD = re.compile(r"\S+")

_CLIENTS = {
    ("mysql", "mysqladmin", "mysqlcheck", "mysqldump", "mysqlimport", "mysqlshow", "mysqlsh"): ("-p",),
    ("mariadb", "mariadb-admin", "mariadb-dump", "mariadb-check", "mariadb-backup", "xtrabackup"): ("-p",),
    ("7z", "7za", "7zr", "rar", "unrar"): ("-p", "-hp"),
    ("xfreerdp", "xfreerdp3", "wlfreerdp"): ("/p:",),
}
"""Options whose secret is attached: a word of its own after them is something else."""
_NEXT = {
    ("sshpass", "mongo", "mongosh", "mongodump", "mongorestore", "useradd", "usermod"): ("-p",),
    ("redis-cli",): ("-a",),
    ("ldapadd", "ldapdelete", "ldapmodify", "ldappasswd", "ldapsearch", "ldapwhoami"): ("-w", "-s", "-a"),
    ("curl",): ("-u", "-U", "--user", "--proxy-user"),
    ("smbclient", "rpcclient", "net"): ("-U",),
    ("zip", "unzip", "sqlcmd", "ipmitool", "mosquitto_pub", "mosquitto_sub"): ("-P",),
    ("snmpget", "snmpset", "snmpwalk", "snmpbulkwalk"): ("-A", "-X", "-c"),
}
"""Options whose secret may be attached, or the next word."""
_ATTACHED_BY = {name: options for names, options in (_CLIENTS | _NEXT).items() for name in names}
_NEXT_BY = {name: options for names, options in _NEXT.items() for name in names}

_PORT = re.compile(r"[0-9]{1,5}(?:/|\Z)")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"[0-9a-fA-F]{32,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_CLASSES = tuple(re.compile(each) for each in ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]"))
_WILD = frozenset("*?.^$+")


def redacted(text: str) -> str:
    """Return the text with each recognised secret replaced by `<redacted:detector>`."""
    for name, pattern in _PATTERNS:
        text = pattern.sub(f"<redacted:{name}>", text)
    text = _ASSIGNED.sub(r"\1<redacted:named_secret>", text)
    text = _OPTION.sub(r"\1<redacted:named_secret>", text)
    return _by_word(text)


def _by_word(text: str) -> str:
    """Redact what depends on the word before it, or on the program that is called."""
    attached: tuple[str, ...] = ()
    following: tuple[str, ...] = ()
    parts: list[str] = []
    end, awaited = 0, False
    for found in _WORD.finditer(text):
        word = found.group()
        parts.append(text[end : found.start()])
        parts.append("<redacted:option>" if awaited and _tells(word) else _word(word, attached))
        program = word.strip("\"'").rpartition("/")[2]
        attached = _ATTACHED_BY.get(program, attached)
        following = _NEXT_BY.get(program, following)
        awaited = word in following
        end = found.end()
    parts.append(text[end:])
    return "".join(parts)


def _word(word: str, attached: tuple[str, ...]) -> str:
    for option in attached:
        if word.startswith(option) and _tells(word[len(option) :]):
            return f"{option}<redacted:option>"
    if word.startswith("-p") and _looks_chosen(word[2:]):
        return "-p<redacted:option>"
    return _assigned_noise(_url(word))


def _tells(value: str) -> bool:
    """Return whether a value is more than wildcards, an option, or what was hidden before."""
    return not (_WILD.issuperset(value) or value.startswith(("-", "<redacted:")))


def _looks_chosen(value: str) -> bool:
    """Return whether the value of a `-p` of an unknown program looks like a password, not a port or path."""
    kinds = sum(each.search(value) is not None for each in _CLASSES)
    return len(value) >= 8 and kinds >= 3 and "/" not in value and not value.startswith("<redacted:")  # noqa: PLR2004


def _url(word: str) -> str:
    """Redact the password in `scheme://user:password@host`; a port is none."""
    start = word.find("://")
    colon = word.find(":", start + 3)
    at = word.rfind("@")
    user = word[start + 3 : colon]
    if start < 0 or not start < colon < at or "/" in user or _PORT.match(word, colon + 1):
        return word
    return f"{word[: colon + 1]}<redacted:url_password>{word[at:]}"


def _assigned_noise(word: str) -> str:
    """Redact the value of `name=value` if it is long and has no pattern, as keys have none."""
    name, equals, value = word.partition("=")
    bare = value.strip("\"'")
    if not equals or _UUID.fullmatch(bare) or not (_HEX.fullmatch(bare) or _is_noise(bare)):
        return word
    return f"{name}=<redacted:entropy>"


def _is_noise(value: str) -> bool:
    """Return whether a value has the alphabet, mixture and entropy (3.5 bits a character) of a key."""
    if not _BASE64.fullmatch(value) or not all(each.search(value) for each in _CLASSES[:3]):
        return False
    share = [count / len(value) for count in Counter(value).values()]
    return -sum(each * math.log2(each) for each in share) >= 3.5  # noqa: PLR2004  English text stays below 3.3
