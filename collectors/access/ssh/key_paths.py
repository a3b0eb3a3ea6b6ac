"""Which files hold keys or principals for a user; sshd_config(5), AuthorizedKeysFile and TOKENS."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from collectors.access.ssh.effective import Setting
from collectors.access.ssh.match_block import Person, concerns, scope_text
from collectors.contract import MalformedError

DEFAULT_KEY_FILES = (".ssh/authorized_keys", ".ssh/authorized_keys2")

_TOKEN = re.compile(r"%(.?)", re.DOTALL)


class Account(msgspec.Struct, frozen=True):
    """What the paths of a user are made of."""

    person: Person
    uid: int
    home: str


class Template(msgspec.Struct, frozen=True):
    """One argument of AuthorizedKeysFile or AuthorizedPrincipalsFile, and the Match block it stands in."""

    text: str
    match: str

    @property
    def shared(self) -> bool:
        """Return whether the path is the same for every user."""
        return self.text.startswith("/") and not _TOKEN.search(self.text)


class Place(msgspec.Struct, frozen=True):
    """A file to read for one user."""

    path: str
    matches: tuple[str, ...]
    shared: bool = False
    """Every user has the same."""
    template: str = ""
    """As it was configured."""


def places(account: Account, templates: Iterator[Template]) -> list[Place]:
    """Return the files of one user, each once, with every Match block that leads to it.

    Raises: MalformedError if the home folder is not an absolute path, or a template has a token sshd has not.
    """
    found: dict[str, Place] = {}
    for each in templates:
        path = expand(each.text, account)
        matches = (*found[path].matches, each.match) if path in found else (each.match,)
        found[path] = Place(path, matches, each.shared, each.text)
    return list(found.values())


def templates(
    settings: list[Setting],
    account: Account,
    groups: frozenset[str],
    *,
    default: tuple[str, ...] = (),
) -> Iterator[Template]:
    """Yield the templates that may count for a user, out of the settings of one name.

    Those of Match blocks come first; one that holds for every connection of the user ends the search, since
    sshd then looks at nothing else. `none` means no file.
    """
    for each in settings:
        verdict = concerns(each.scope, account.person, groups) if each.scope else "no"
        if verdict != "no":
            yield from _templates(each.directive.arguments, scope_text(each.scope))
        if verdict == "yes":
            return
    everywhere = next((each.directive.arguments for each in settings if not each.scope), default)
    yield from _templates(everywhere, "")


def _templates(arguments: tuple[str, ...], match: str) -> Iterator[Template]:
    return (Template(each, match) for each in arguments if each.lower() != "none")


def expand(template: str, account: Account) -> str:
    """Return the path of a template for one user; a relative one is taken from the home folder."""
    tokens = {"%": "%", "h": account.home, "u": account.person.name, "U": str(account.uid)}

    def value(found: re.Match[str]) -> str:
        if found.group(1) not in tokens:
            raise MalformedError("one of the tokens %%, %h, %u and %U", "another one")
        return tokens[found.group(1)]

    path = _TOKEN.sub(value, template)
    path = path if path.startswith("/") else f"{account.home}/{path}"
    if not path.startswith("/"):
        raise MalformedError("an absolute home folder", "another one")
    return "/" + "/".join(each for each in path.split("/") if each not in {"", "."})
