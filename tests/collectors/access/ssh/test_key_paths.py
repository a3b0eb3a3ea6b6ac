from __future__ import annotations

import pytest

from collectors.access.ssh.effective import Setting
from collectors.access.ssh.key_paths import Account, Place, Template, expand, places, templates
from collectors.access.ssh.match_block import Criterion, Person, Scope
from collectors.access.ssh.sshd_config import Directive
from collectors.contract import MalformedError

BOB = Account(Person("bob", frozenset({"staff"})), 1001, "/home/bob")
DEFAULT = (".ssh/authorized_keys",)


def setting(*files: str, scope: Scope = ()) -> Setting:
    directive = Directive("authorizedkeysfile", files, "/etc/ssh/sshd_config", 1, scope)
    return Setting("authorizedkeysfile", " ".join(files), 0, directive)


def chosen(*settings: Setting, account: Account = BOB) -> list[Template]:
    return list(templates(list(settings), account, frozenset({"staff", "wheel"}), default=DEFAULT))


@pytest.mark.parametrize(
    ("template", "path"),
    [
        (".ssh/authorized_keys", "/home/bob/.ssh/authorized_keys"),
        ("%h/.ssh/keys", "/home/bob/.ssh/keys"),
        ("/etc/ssh/keys/%u", "/etc/ssh/keys/bob"),
        ("/keys/%U/%%u", "/keys/1001/%u"),
        ("/a//b/./c/", "/a/b/c"),
    ],
)
def test_tokens_are_expanded_and_relative_paths_begin_at_home(template: str, path: str) -> None:
    assert expand(template, BOB) == path


@pytest.mark.parametrize("template", ["%x", "100%", "%"])
def test_another_token_is_malformed(template: str) -> None:
    with pytest.raises(MalformedError):
        expand(template, BOB)


def test_a_home_that_is_no_path_is_malformed_and_an_empty_one_is_the_root() -> None:
    with pytest.raises(MalformedError):
        expand(".ssh/x", Account(BOB.person, 1, "home/bob"))
    assert expand(".ssh/x", Account(BOB.person, 1, "")) == "/.ssh/x"


def test_without_a_setting_the_default_counts_and_none_means_no_file() -> None:
    assert chosen() == [Template(".ssh/authorized_keys", "")]
    assert chosen(setting("none")) == []


def test_a_block_that_surely_holds_ends_the_search() -> None:
    user = setting("/keys/%u", scope=(Criterion("user", "bob"),))
    assert chosen(setting("global"), user) == [Template("/keys/%u", "user bob")]


def test_a_block_that_may_hold_is_listed_beside_the_global_section() -> None:
    address = setting("/keys/%u", scope=(Criterion("address", "10.*"),))
    assert chosen(setting("global"), address) == [Template("/keys/%u", "address 10.*"), Template("global", "")]


def test_a_block_for_others_is_not_listed() -> None:
    other = setting("/keys/%u", scope=(Criterion("user", "alice"),))
    wheel = setting("/keys/%u", scope=(Criterion("group", "wheel"),))
    assert chosen(other, wheel) == [Template(".ssh/authorized_keys", "")]


def test_a_path_reached_in_two_ways_is_read_once_and_names_both() -> None:
    ways = iter([Template("%h/k", "address 10.*"), Template("k", "")])
    assert places(BOB, ways) == [Place("/home/bob/k", ("address 10.*", ""), template="k")]


@pytest.mark.parametrize(
    ("template", "shared"), [("/etc/ssh/keys", True), ("/etc/%u", False), ("%h/x", False), ("x", False)]
)
def test_a_path_without_tokens_is_shared_by_all_users(template: str, shared: bool) -> None:
    (place,) = places(BOB, iter([Template(template, "")]))
    assert place.shared == shared
