from __future__ import annotations

import msgspec
import pytest

from collectors.access.sudo_rules import TABLE, SudoRule
from tests.collectors.access.sudoers.stories import FAULTY, TAKEN
from tests.collectors.access.sudoers.tree import Tree, said

SUDOERS = "/etc/sudoers"


def test_a_rule_is_one_row_for_each_command_with_what_it_inherits(tree: Tree) -> None:
    tree.put(SUDOERS, '# x\nbob web = (db : adm) CWD=/srv NOPASSWD: /bin/a -x, !/bin/b, (root) PASSWD: /bin/c ""\n')
    first, second, third = tree.rows()
    assert first == SudoRule(
        file=SUDOERS, file_b64=None, reading=1, line=2, index=1, order=2, kind="rule", ignored=None, unparsed=False,
        users=("bob",), hosts=("web",), runas_users=("db",), runas_groups=("adm",), command="/bin/a", arguments="-x",
        tags=("NOPASSWD",), options=("CWD=/srv",),
    )  # fmt: skip
    assert said(second, "command", "arguments", "negated", "tags") == ("/bin/b", None, True, ("NOPASSWD",))
    assert said(third, "arguments", "runas_users", "runas_groups", "tags") == ("", ("root",), (), ("PASSWD",))
    assert [row.index for row in (first, second, third)] == [1, 2, 3]


def test_no_runas_an_empty_one_and_one_of_groups_are_three_things(tree: Tree) -> None:
    tree.put(SUDOERS, "a ALL = ALL\nb ALL = () ALL\nc ALL = (: adm) ALL\n")
    assert [said(row, "runas_users", "runas_groups") for row in tree.rows()] == [
        (None, None),
        ((), ()),
        ((), ("adm",)),
    ]


def test_names_are_in_quotes_only_where_they_would_be_read_as_something_else(tree: Tree) -> None:
    tree.put(SUDOERS, '"ALL", ALL, X, "X", "two words", a\\,b, "%a b", %w, "bob", #5, !"!x", D\\\\b ALL = ALL\n')
    (row,) = tree.rows()
    assert row.users == (
        '"ALL"', "ALL", "X", '"X"', '"two words"', '"a,b"', '"%a b"', "%w", "bob", "#5", '!"!x"', '"D\\b"',
    )  # fmt: skip


def test_each_setting_of_defaults_is_a_row_with_whom_it_is_bound_to(tree: Tree) -> None:
    tree.put(SUDOERS, 'Defaults:a,%b !authenticate, env_keep += "A B"\nDefaults!/bin/x,!/bin/y noexec\n')
    found = [said(row, "users", "command", "negated", "setting", "operator", "value") for row in tree.rows("defaults")]
    assert found == [
        (("a", "%b"), None, False, "authenticate", "off", None),
        (("a", "%b"), None, False, "env_keep", "+=", "A B"),
        ((), "/bin/x", False, "noexec", "on", None),
        ((), "/bin/y", True, "noexec", "on", None),
    ]


def test_aliases_stand_as_they_are_defined(tree: Tree) -> None:
    tree.put(
        SUDOERS,
        "User_Alias A = a, !%b : B = c\nRunas_Alias R = #0\nHost_Alias H = 10.0.0.0/8\nCmnd_Alias C = /x y, !Z\n",
    )
    rows, gaps = tree.collect()
    assert not gaps
    assert [said(row, "kind", "alias", "users", "runas_users", "hosts", "command") for row in rows[1:]] == [
        ("user_alias", "A", ("a", "!%b"), None, (), None),
        ("user_alias", "B", ("c",), None, (), None),
        ("runas_alias", "R", (), ("#0",), (), None),
        ("host_alias", "H", (), None, ("10.0.0.0/8",), None),
        ("cmnd_alias", "C", (), None, (), "/x"),
        ("cmnd_alias", "C", (), None, (), "Z"),
    ]


def test_an_alias_that_is_defined_again_gives_nobody_anything(tree: Tree) -> None:
    tree.put(SUDOERS, "User_Alias A = a\nUser_Alias A = b : B = c\nUser_Alias B = d\n")
    assert [said(row, "users", "ignored") for row in tree.rows("user_alias")] == [
        (("a",), None),
        (("b",), "defined_before"),
        (("c",), "defined_before"),
        (("d",), None),
    ]
    assert (SUDOERS, "malformed", 2) in tree.gaps()


def test_a_line_that_cannot_be_parsed_is_a_row_and_a_gap_without_its_text(tree: Tree) -> None:
    tree.put(SUDOERS, "root ALL = ALL\nhunter2 hunter2 = = hunter2\nbob ALL = ALL\n")
    rows, gaps = tree.collect()
    assert [said(row, "kind", "line", "unparsed", "ignored") for row in rows[1:]] == [
        ("rule", 1, False, None),
        ("unparsed", 2, True, "syntax_error"),
        ("rule", 3, False, None),
    ]
    assert [(gap.source, gap.reason, gap.line) for gap in gaps] == [(SUDOERS, "malformed", 2)]
    assert b"hunter2" not in msgspec.json.encode([*rows, *gaps])


def test_what_sudo_keeps_of_a_line_it_finds_fault_with_is_kept_beside_the_row_that_says_so(tree: Tree) -> None:
    tree.put(SUDOERS, "a ALL = /bin/a :\nUser_Alias A = b c\n")
    assert [said(row, "kind", "line", "index") for row in tree.collect()[0][1:]] == [
        ("rule", 1, 1),
        ("unparsed", 1, 2),
        ("user_alias", 2, 1),
        ("unparsed", 2, 2),
    ]


def test_a_rule_that_sudo_takes_is_not_hidden_by_what_looks_like_a_fault_behind_it(tree: Tree) -> None:
    tree.put(SUDOERS, "@include more #-")
    tree.put("/etc/more", "a ALL = ALL #-")
    assert [said(row, "file", "kind", "line", "index", "ignored") for row in tree.collect()[0]] == [
        (SUDOERS, "file", 0, 0, None),
        (SUDOERS, "include", 1, 1, None),
        ("/etc/more", "file", 0, 0, None),
        ("/etc/more", "rule", 1, 1, None),
        ("/etc/more", "unparsed", 1, 2, "syntax_error"),
        (SUDOERS, "unparsed", 1, 2, "syntax_error"),
    ]


def test_each_physical_line_on_which_sudo_finds_fault_with_a_rule_is_a_gap(tree: Tree) -> None:
    tree.put(SUDOERS, "a ALL = /bin/a : web = foo : \\\n db = /bin/b : \\\n www = bar :\nb ALL = ALL\n")
    assert [said(row, "kind", "line", "command", "hosts") for row in tree.collect()[0][1:]] == [
        ("rule", 1, "/bin/a", ("ALL",)),
        ("rule", 1, "/bin/b", ("db",)),
        ("unparsed", 1, None, ()),
        ("rule", 4, "ALL", ("ALL",)),
    ]
    assert tree.gaps() == [(SUDOERS, "malformed", 1), (SUDOERS, "malformed", 3)]


@pytest.mark.parametrize("tail", ["b ALL = ALL \\\n", "b ALL = ALL \\"])
def test_a_main_file_that_ends_in_a_continued_line_is_no_policy_at_all(tree: Tree, tail: str) -> None:
    tree.put(SUDOERS, "a ALL = ALL\n" + tail)
    assert [row.ignored for row in tree.rows()] == ["policy_refused"]
    assert tree.gaps().count((SUDOERS, "malformed", None)) == 2


def test_digests_options_and_tags_are_lists_of_what_was_written(tree: Tree) -> None:
    digest = "sha224:" + "0a" * 28
    tree.put(
        SUDOERS, f"a ALL = TIMEOUT=1h ROLE=r NOTBEFORE=2020010100Z SETENV: {digest}, {digest} /bin/a, ALL, /bin/b\n"
    )
    first, second, third = tree.rows()
    assert first.digests == (digest, digest)
    assert first.options == second.options == third.options == ("NOTBEFORE=2020010100Z", "ROLE=r", "TIMEOUT=1h")
    assert [row.tags for row in (first, second, third)] == [("SETENV",), (), ()]


def test_text_that_is_not_utf8_is_shown_with_escapes_and_is_a_gap(tree: Tree) -> None:
    tree.put(SUDOERS, b"a\xff ALL = /bin/\xfe\nb\\xc3\\xa9 ALL = ALL\n")
    first, second = tree.rows()
    assert said(first, "users", "command") == (("a\\xff",), "/bin/\\xfe")
    assert second.users == ("bé",)
    assert tree.gaps() == [(SUDOERS, "malformed", 1)]


def test_sudo_reads_nothing_after_a_nul_on_its_line(tree: Tree) -> None:
    tree.put(SUDOERS, b"a ALL = /bin/a\0, ALL\nb ALL = ALL\n")
    assert [row.command for row in tree.rows()] == ["/bin/a", "ALL"]
    assert tree.gaps() == [(SUDOERS, "malformed", 1)]


@pytest.mark.parametrize("story", TAKEN | FAULTY)
def test_every_row_of_every_story_has_its_type_and_a_key_of_its_own(tree: Tree, story: str) -> None:
    tree.put(SUDOERS, (TAKEN | FAULTY)[story])
    rows, _ = tree.collect()
    keys = [tuple(getattr(row, name) for name in TABLE.key) for row in rows]
    assert len(set(keys)) == len(keys)
    for row in rows:
        msgspec.convert(msgspec.to_builtins(row), SudoRule)
    assert [row.order for row in rows] == list(range(1, len(rows) + 1))


CANARY = "Kq7hunter2Canary"


@pytest.mark.parametrize(
    "line",
    [
        f"a ALL = /bin/x --password={CANARY}",
        f"a ALL = /bin/x --token {CANARY}, ALL",
        f"a ALL = /usr/bin/mysql -p{CANARY} -u root",
        f"a ALL = /usr/bin/curl -u bob\\:{CANARY} https\\://h/",
        f"a ALL = /usr/bin/curl https\\://bob\\:{CANARY}@h/",
        f"a ALL = /usr/bin/env PGPASSWORD={CANARY} psql",
        f"Cmnd_Alias C = /bin/x --secret={CANARY}",
        f'Defaults passprompt="token: {CANARY}"',
        f"a ALL = CWD=/srv/password={CANARY} /bin/x",
        f"a ALL = /opt/password\\={CANARY}/x",
        f"a ALL = password={CANARY} {CANARY}",
        f"{CANARY} = = {CANARY}",
        f'Defaults passprompt="{CANARY}',
    ],
)
def test_no_planted_secret_comes_out(tree: Tree, line: str) -> None:
    tree.put(SUDOERS, f"root ALL = ALL\n{line}\n")
    rows, gaps = tree.collect()
    assert len(rows) >= 3
    assert CANARY.encode() not in msgspec.json.encode([*rows, *gaps])


def test_a_redacted_argument_says_which_detector_took_it_and_the_rest_stays(tree: Tree) -> None:
    tree.put(SUDOERS, f"a ALL = /usr/bin/mysql -p{CANARY} -u root\n")
    assert tree.rows()[0].arguments == "-p<redacted:option> -u root"
