"""Accounts, groups and password states: parsers, odd files, and what passwd(1), chage(1) and getent(1) say."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.access import groups, password_status, ssh_authorized_keys, users
from collectors.access.password_field import classify
from collectors.access.password_status import PasswordStatus, parse_shadow
from collectors.access.users import User, parse_user
from collectors.contract import DAY_S, Gap, MalformedError, Table, utc
from collectors.reading.host import Host
from collectors.reading.nss_files import entry, listed

Tree = Callable[[dict[str, str]], Host]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    def make(files: dict[str, str]) -> Host:
        for name, text in files.items():
            path = tmp_path / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return Host(str(tmp_path), secret=b"test")

    return make


def read(table: Table, host: Host) -> tuple[list[object], list[Gap]]:
    found = list(table.collect(host))
    return [each for each in found if not isinstance(each, Gap)], [each for each in found if isinstance(each, Gap)]


ROOT = "root:x:0:0:root:/root:/bin/bash\n"


def test_two_lines_of_one_name_are_two_rows(tree: Tree) -> None:
    rows, gaps = read(users.TABLE, tree({"/etc/passwd": ROOT + "root:x:0:0::/:/bin/sh\n"}))
    assert [(row.name, row.line, row.uid) for row in rows if isinstance(row, User)] == [("root", 1, 0), ("root", 2, 0)]
    assert gaps == []


def test_a_bad_line_becomes_a_gap_and_the_others_are_kept(tree: Tree) -> None:
    text = ROOT + "short:x\nnul\0:x:1:1::/:/bin/sh\nbig:x:4294967296:1::/:/bin/sh\n\nlast:x:1:1::/:\n"
    rows, gaps = read(users.TABLE, tree({"/etc/passwd": text}))
    assert [row.line for row in rows if isinstance(row, User)] == [1, 6]
    assert [(gap.reason, gap.line) for gap in gaps] == [("malformed", 2), ("malformed", 3), ("malformed", 4)]
    assert gaps[0].detail == "expected 7 fields, found 2"


def test_a_comment_is_passed_over_and_one_in_the_shape_of_an_account_is_a_row(tree: Tree) -> None:
    """The first is none to any C library; musl has an account of the second's name."""
    rows, gaps = read(users.TABLE, tree({"/etc/passwd": "# who may log in: see the wiki\n \n#old:x:0:0::/:/bin/sh\n"}))
    assert [(row.name, row.line) for row in rows if isinstance(row, User)] == [("#old", 3)]
    assert gaps == []


def test_what_is_not_utf8_in_a_comment_field_costs_no_account_and_is_no_gap(tree: Tree) -> None:
    """chfn(1) lets any user write such a byte into his own line."""
    rows, gaps = read(users.TABLE, tree({"/etc/passwd": "eve:x:4001:4001:,\udcff,,:/home/eve:/bin/bash\n"}))
    assert [(row.name, row.uid, row.gecos_present) for row in rows if isinstance(row, User)] == [("eve", 4001, True)]
    assert gaps == []


def test_what_is_not_utf8_in_a_row_is_shown_escaped_beside_a_gap(tree: Tree) -> None:
    host = tree(
        {
            "/etc/passwd": "caf\udce9:x:7:50::/home/caf\udce9:/bin/sh\n",
            "/etc/shadow": "caf\udce9:!:1::::::\n",
            "/etc/group": "staff:x:50:b\udcff,ann\n",
        }
    )
    (user,), (gap,) = read(users.TABLE, host)
    assert isinstance(user, User)
    assert (user.name, user.home) == ("caf\\xe9", "/home/caf\\xe9")
    assert gap == Gap(
        "/etc/passwd", "malformed", "expected UTF-8 in name, home, found other bytes, shown escaped", line=1
    )
    (status,), gaps = read(password_status.TABLE, host)
    assert isinstance(status, PasswordStatus)
    assert (status.user, status.state, [each.line for each in gaps]) == ("caf\\xe9", "locked", [1])
    (group,), gaps = read(groups.TABLE, host)
    assert isinstance(group, groups.Group)
    assert (group.members, group.primary_members) == (("ann", "b\\xff"), ("caf\\xe9",))
    assert [(each.source, each.line) for each in gaps] == [("/etc/group", 1)]


def test_the_keys_of_an_account_with_an_odd_line_are_listed(tree: Tree) -> None:
    """Neither a byte that is no UTF-8 nor a blank before a name hides an account from sshd, nor from us."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43 + "\n"
    host = tree(
        {
            "/etc/passwd": "eve:x:1:1:,\udcff,:/home/eve:/bin/sh\n bob:x:2:2::/home/caf\udce9:\n",
            "/etc/group": "wheel:x:10:alice, bob\n",
            "/etc/ssh/sshd_config": "Match Group wheel\n AuthorizedKeysFile .ssh/wheel\n",
            "/home/eve/.ssh/authorized_keys": key,
            "/home/caf\udce9/.ssh/wheel": key,
        }
    )
    rows, _ = read(ssh_authorized_keys.TABLE, host)
    assert {(row.user, row.path) for row in rows if isinstance(row, ssh_authorized_keys.SshAuthorizedKey)} == {
        ("eve", "/home/eve/.ssh/authorized_keys"),
        ("bob", "/home/caf\\xe9/.ssh/wheel"),
    }


def test_a_comment_behind_blanks_is_passed_over_too(tree: Tree) -> None:
    assert read(users.TABLE, tree({"/etc/passwd": " \t# who may log in: see the wiki\n"})) == ([], [])


@pytest.mark.parametrize(("table", "path"), [(groups.TABLE, "/etc/group"), (password_status.TABLE, "/etc/shadow")])
def test_comments_of_the_other_files_are_passed_over_too(tree: Tree, table: Table, path: str) -> None:
    _, gaps = read(table, tree({"/etc/passwd": ROOT, path: "# a comment: of ours\n"}))
    assert gaps == []


def test_an_absent_passwd_is_a_gap_not_a_host_without_accounts(tree: Tree) -> None:
    rows, gaps = read(users.TABLE, tree({}))
    assert rows == []
    assert [(gap.source, gap.reason) for gap in gaps] == [("/etc/passwd", "absent")]


def test_a_line_for_a_directory_server_is_a_row_that_says_so() -> None:
    assert parse_user("+::::::", 9).source == "nis_include"
    assert parse_user("+@admins", 9).password_in_passwd == "absent"
    assert parse_user("-mallory", 9).source == "nis_exclude"
    assert parse_user("+", 1).uid is None


@pytest.mark.parametrize(
    ("shell", "interactive"),
    [("/bin/bash", True), ("", True), ("/opt/odd", True), ("/usr/sbin/nologin", False), ("/bin/false", False)],
)
def test_an_unknown_shell_counts_as_one_that_lets_work(shell: str, interactive: bool) -> None:
    assert parse_user(f"a:x:1:1::/:{shell}", 1).interactive is interactive


@pytest.mark.parametrize(("field", "kind"), [("x", "shadowed"), ("", "empty"), ("*", "locked"), ("$6$a$b", "hash")])
def test_the_password_field_of_passwd_is_classified_and_not_kept(field: str, kind: str) -> None:
    row = parse_user(f"a:{field}:1:1::/:", 1)
    assert row.password_in_passwd == kind
    assert "$6$" not in repr(row)


@given(st.text(max_size=200))
def test_any_text_is_an_account_or_malformed(text: str) -> None:
    try:
        row = parse_user(text, 1)
    except MalformedError:
        return
    assert row.name == entry(text).split(":", maxsplit=1)[0]


@pytest.mark.parametrize("digits", ["\u0661", "²", "1_0", "0x1", "", "-1", "1 ", "+", "9" * 5000])
def test_digits_that_int_takes_and_the_c_library_does_not_are_malformed(digits: str) -> None:
    with pytest.raises(MalformedError):
        parse_user(f"a:x:{digits}:1::/:", 1)


def test_a_hundred_thousand_lines_are_read(tree: Tree) -> None:
    text = "".join(f"u{number}:x:{number}:1::/:/bin/sh\n" for number in range(100_000))
    rows, gaps = read(users.TABLE, tree({"/etc/passwd": text}))
    assert len(rows) == 100_000
    assert gaps == []


def test_members_are_listed_primary_and_shadowed(tree: Tree) -> None:
    host = tree(
        {
            "/etc/passwd": ROOT + "ann:x:1000:50::/:/bin/sh\n",
            "/etc/group": "staff:x:50:bob,ann,bob\nempty:x:51:\n",
            "/etc/gshadow": "staff:!:carl:bob\nempty:::\n",
        }
    )
    rows, gaps = read(groups.TABLE, host)
    staff, empty = (row for row in rows if isinstance(row, groups.Group))
    assert (staff.members, staff.primary_members, staff.admins, staff.shadow_members) == (
        ("ann", "bob"),
        ("ann",),
        ("carl",),
        ("bob",),
    )
    assert (staff.password, empty.password) == ("locked", "empty")
    assert gaps == []


def test_without_gshadow_a_group_password_is_unknown(tree: Tree) -> None:
    rows, _ = read(groups.TABLE, tree({"/etc/passwd": ROOT, "/etc/group": "staff:x:50:\n"}))
    (staff,) = (row for row in rows if isinstance(row, groups.Group))
    assert (staff.password, staff.admins, staff.shadow_members) == ("unknown", None, None)


# One story for each state; the hashes are made up and of the right shape.
BCRYPT = "$2b$12$" + "a" * 53
SHA512 = "$6$saltsalt$" + "b" * 86
YESCRYPT = "$y$j9T$salt$" + "c" * 43
STATES = [
    ("", "empty", None, None),
    ("*", "disabled", None, None),
    ("!", "locked", None, None),
    ("!!", "locked", None, None),
    ("!*", "locked", None, None),
    ("*NP*", "disabled", None, None),
    ("x", "disabled", None, None),
    (SHA512, "set", "sha512crypt", 5000),
    ("!" + SHA512, "locked_with_hash", "sha512crypt", 5000),
    ("$6$rounds=65536$salt$" + "b" * 86, "set", "sha512crypt", 65536),
    ("$5$salt$" + "b" * 43, "set", "sha256crypt", 5000),
    (BCRYPT, "set", "bcrypt", 12),
    (YESCRYPT, "set", "yescrypt", None),
    ("$1$salt$" + "d" * 22, "set", "md5crypt", None),
    ("abJnggxhB/yWI", "set", "descrypt", None),
    ("abJnggxhB/yWI,M.z8", "set", "descrypt", None),
    ("abJnggxhB/yWI ", "set", "descrypt", None),
    ("!abJnggxhB/yWI,M.z8", "locked_with_hash", "descrypt", None),
    ("_J9..rasmBYk8r9AiWNc", "set", "bsdicrypt", None),
    ("$9$unknown$thing", "invalid", None, None),
    ("$6$", "invalid", None, None),
    ("$6$salt$", "invalid", None, None),
]


@pytest.mark.parametrize(("field", "state", "algorithm", "cost"), STATES)
def test_a_password_field_has_one_state(field: str, state: str, algorithm: str | None, cost: int | None) -> None:
    assert classify(field) == (state, algorithm, cost)


@given(st.text(max_size=200))
def test_any_password_field_has_a_state_and_none_of_it_is_kept(field: str) -> None:
    state, algorithm, _cost = classify(field)
    assert (algorithm is not None) == (state in {"set", "locked_with_hash"})


@given(st.text(max_size=300))
def test_any_shadow_line_is_a_row_or_malformed(text: str) -> None:
    try:
        row = parse_shadow(text, 1)
    except MalformedError:
        return
    assert row.user == entry(text).split(":", maxsplit=1)[0]


def test_zero_days_since_the_last_change_means_change_at_next_login() -> None:
    row = parse_shadow("a:*:0:0:99999:7:::", 1)
    assert (row.changed_day, row.must_change, row.min_days) == (0, True, 0)
    assert row.changed == "1970-01-01T00:00:00Z"


def test_an_empty_number_is_absent_and_minus_one_too() -> None:
    row = parse_shadow("a:*::-1:::::", 1)
    assert (row.changed_day, row.must_change, row.min_days, row.max_days) == (None, False, None, None)


def test_an_account_without_a_shadow_line_is_a_row_that_says_so(tree: Tree) -> None:
    host = tree({"/etc/passwd": ROOT + "ghost:x:9:9::/:/bin/sh\n", "/etc/shadow": "root:*:1:::::: \n".replace(" ", "")})
    rows, _ = read(password_status.TABLE, host)
    assert [(row.user, row.state, row.line) for row in rows if isinstance(row, PasswordStatus)] == [
        ("root", "disabled", 1),
        ("ghost", "no_shadow", 0),
    ]


@pytest.mark.parametrize(
    ("passwd", "shadow", "state"),
    [
        ("", "!", "empty"),
        ("abJnggxhB/yWI", "!", "set"),
        ("", SHA512, "empty"),
        ("*", SHA512, "set"),
        (SHA512, "", "empty"),
        ("!", "*", "disabled"),
    ],
)
def test_of_a_password_in_passwd_and_one_in_shadow_the_row_has_what_lets_more_in(
    tree: Tree, passwd: str, shadow: str, state: str
) -> None:
    files = {"/etc/passwd": f"dora:{passwd}:3:3::/:/bin/sh\n", "/etc/shadow": f"dora:{shadow}:1::::::\n"}
    (row,), gaps = read(password_status.TABLE, tree(files))
    assert isinstance(row, PasswordStatus)
    assert (row.state, row.line) == (state, 1)
    assert [(gap.source, gap.reason, gap.line) for gap in gaps] == [("/etc/passwd", "malformed", 1)]


@pytest.mark.parametrize("field", ["x", "*NP*", "##dora"])
def test_a_field_that_sends_to_shadow_leaves_the_state_to_shadow(tree: Tree, field: str) -> None:
    host = tree({"/etc/passwd": f"dora:{field}:3:3::/:/bin/sh\n", "/etc/shadow": f"dora:{SHA512}:1::::::\n"})
    (row,), gaps = read(password_status.TABLE, host)
    assert isinstance(row, PasswordStatus)
    assert (row.state, gaps) == ("set", [])


def test_a_password_in_passwd_alone_is_the_state_of_its_account(tree: Tree) -> None:
    (row,), gaps = read(password_status.TABLE, tree({"/etc/passwd": "a::3:3::/:/bin/sh\n", "/etc/shadow": ""}))
    assert isinstance(row, PasswordStatus)
    assert (row.state, row.line, gaps) == ("empty", 0, [])


@pytest.mark.parametrize("shadow", ["dora:*\n", "dora\0:*:1::::::\n", "x" * 70_000, None])
def test_whom_passwd_itself_lets_in_is_listed_whatever_shadow_gives(tree: Tree, shadow: str | None) -> None:
    files = {"/etc/passwd": "dora::3:3::/:/bin/sh\n"}
    rows, (gap,) = read(password_status.TABLE, tree(files if shadow is None else files | {"/etc/shadow": shadow}))
    found = [(row.user, row.state, row.line) for row in rows if isinstance(row, PasswordStatus)]
    assert found == [("dora", "empty", 0)]
    assert gap.source == "/etc/shadow"


def test_an_unreadable_shadow_says_nothing_about_who_lacks_a_line(tree: Tree) -> None:
    rows, gaps = read(password_status.TABLE, tree({"/etc/passwd": ROOT}))
    assert rows == []
    assert [(gap.source, gap.reason) for gap in gaps] == [("/etc/shadow", "absent")]


@pytest.mark.parametrize("line", ["ghost:*", "ghost\0:*:1::::::", "x" * 70_000])
def test_an_account_whose_line_may_be_the_malformed_one_is_not_said_to_have_none(tree: Tree, line: str) -> None:
    host = tree({"/etc/passwd": "ghost:x:9:9::/:/bin/sh\n", "/etc/shadow": f"{line}\n"})
    rows, gaps = read(password_status.TABLE, host)
    assert rows == []
    assert [(gap.source, gap.line) for gap in gaps] == [("/etc/shadow", 1)]


def test_a_directory_server_s_line_in_shadow_is_no_account_without_a_password(tree: Tree) -> None:
    rows, gaps = read(password_status.TABLE, tree({"/etc/passwd": "+::::::\n", "/etc/shadow": "+::::::::\n"}))
    assert rows == []
    assert [(gap.reason, gap.line) for gap in gaps] == [("unenumerable", 1)]


def test_no_hash_or_salt_is_in_any_row_or_gap(tree: Tree) -> None:
    canaries = ("saltsalt", "b" * 20, "canary")
    lines = [f"u{number}:{field}:1:0:9:7:::" for number, (field, *_rest) in enumerate(STATES)]
    lines += [f"bad:{SHA512}:canary:0:9:7:::", f"worse:{SHA512}"]
    rows, gaps = read(password_status.TABLE, tree({"/etc/passwd": ROOT, "/etc/shadow": "\n".join(lines)}))
    assert len(rows) == len(STATES) + 1
    assert len(gaps) == 2
    text = repr((rows, gaps))
    assert not any(canary in text for canary in canaries)


# -- against the tools that know -------------------------------------------------------------------------------------

LETTERS = {"set": "P", "locked": "L", "locked_with_hash": "L", "disabled": "L", "empty": "NP", "invalid": "P"}


def beside(tmp_path: Path, passwd: str, shadow: str, *command: str) -> str:
    """Run a program in a mount namespace of its own, where these files are the host's accounts."""
    (tmp_path / "passwd").write_text(passwd)
    (tmp_path / "shadow").write_text(shadow)
    script = 'mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/shadow && shift 2 && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(tmp_path / "passwd"), str(tmp_path / "shadow"), *command],
        capture_output=True,
        text=True,
        check=True,
        env={"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    return done.stdout


@pytest.mark.needs_root
@pytest.mark.needs_program("passwd", "unshare")
def test_states_and_spans_are_those_of_passwd_status(tmp_path: Path, tree: Tree) -> None:
    # passwd -S calls usable whatever does not begin with ! or *; "x" equals no hash, so nobody can log in with it
    fields = [field for field, *_rest in STATES if field != "x"]
    shadow = "".join(f"u{number}:{field}:{18000 + number}:1:90:7:14::\n" for number, field in enumerate(fields))
    passwd = "".join(f"u{number}:x:{number + 2000}:2000::/:/bin/sh\n" for number in range(len(fields)))
    told = {
        line.split()[0]: line.split()[1:]
        for line in beside(tmp_path, passwd, shadow, "passwd", "-S", "-a").splitlines()
    }
    rows, gaps = read(password_status.TABLE, tree({"/etc/passwd": passwd, "/etc/shadow": shadow}))
    assert gaps == []
    ours = {}
    for row in rows:
        assert isinstance(row, PasswordStatus)
        assert row.changed is not None
        year, month, day = row.changed[:10].split("-")
        spans = [str(each) for each in (row.min_days, row.max_days, row.warn_days, row.inactive_days)]
        ours[row.user] = [LETTERS[row.state], f"{month}/{day}/{year}", *spans]
    iso = {name: [told[name][0], as_american(told[name][1]), *told[name][2:]] for name in told}
    assert ours == iso


def as_american(day: str) -> str:
    """Return MM/DD/YYYY; newer shadow prints YYYY-MM-DD."""
    if "-" in day:
        year, month, date = day.split("-")
        return f"{month}/{date}/{year}"
    return day


@pytest.mark.needs_root
@pytest.mark.needs_program("unix_chkpwd", "unshare")
@pytest.mark.parametrize(
    ("passwd", "shadow"),
    [("x", "abNANd1rDfiNc,M.z8"), ("x", "abNANd1rDfiNc "), ("abNANd1rDfiNc", "!"), ("##ann", "abNANd1rDfiNc")],
)
def test_whom_pam_unix_lets_in_is_not_locked(tmp_path: Path, tree: Tree, passwd: str, shadow: str) -> None:
    files = (f"ann:{passwd}:2000:2000::/:/bin/sh\n", f"ann:{shadow}:19000:0:99999:7:::\n")
    beside(tmp_path, *files, "sh", "-c", r"printf 'secret\0' | unix_chkpwd ann nullok")  # raises if it does not
    rows, _ = read(password_status.TABLE, tree({"/etc/passwd": files[0], "/etc/shadow": files[1]}))
    assert [row.state for row in rows if isinstance(row, PasswordStatus)] == ["set"]


@pytest.mark.needs_root
@pytest.mark.needs_program("unix_chkpwd", "unshare")
def test_whom_pam_unix_lets_in_beside_a_malformed_line_is_listed(tmp_path: Path, tree: Tree) -> None:
    files = ("ann:abNANd1rDfiNc:2000:2000::/:/bin/sh\n", "ann:*\n")
    beside(tmp_path, *files, "sh", "-c", r"printf 'secret\0' | unix_chkpwd ann nullok")  # raises if it does not
    rows, _ = read(password_status.TABLE, tree({"/etc/passwd": files[0], "/etc/shadow": files[1]}))
    assert [(row.user, row.state) for row in rows if isinstance(row, PasswordStatus)] == [("ann", "set")]


@pytest.mark.needs_root
@pytest.mark.needs_program("chage", "unshare")
def test_ages_are_those_of_chage(tmp_path: Path, tree: Tree) -> None:
    passwd = "ann:x:2000:2000::/:/bin/sh\nbob:x:2001:2001::/:/bin/sh\n"
    shadow = f"ann:{SHA512}:19000:2:60:5:9:20500:\nbob:{SHA512}:0:0:99999:7:::\n"
    rows, _ = read(password_status.TABLE, tree({"/etc/passwd": passwd, "/etc/shadow": shadow}))
    ann, bob = (row for row in rows if isinstance(row, PasswordStatus))
    told = dict(
        [part.strip() for part in line.split(":", 1)]
        for line in beside(tmp_path, passwd, shadow, "chage", "-i", "-l", "ann").splitlines()
    )
    assert told["Last password change"] == (ann.changed or "")[:10]
    assert told["Account expires"] == (ann.expires or "")[:10]
    assert told["Password expires"] == utc(((ann.changed_day or 0) + (ann.max_days or 0)) * DAY_S)[:10]
    assert told["Minimum number of days between password change"] == str(ann.min_days)
    assert told["Number of days of warning before password expires"] == str(ann.warn_days)
    assert "must be changed" in beside(tmp_path, passwd, shadow, "chage", "-i", "-l", "bob")
    assert bob.must_change


@pytest.mark.needs_program("getent")
def test_accounts_and_groups_of_this_host_are_those_of_getent() -> None:
    host = Host("/", secret=b"test")
    told = subprocess.run(["getent", "-s", "files", "passwd"], capture_output=True, text=True, check=True).stdout
    rows, _ = read(users.TABLE, host)
    ours = [(row.name, row.uid, row.gid, row.home, row.shell) for row in rows if isinstance(row, User)]
    fields = [line.split(":") for line in told.splitlines()]
    assert ours == [(each[0], int(each[2]), int(each[3]), each[5], each[6]) for each in fields]
    told = subprocess.run(["getent", "-s", "files", "group"], capture_output=True, text=True, check=True).stdout
    rows, _ = read(groups.TABLE, host)
    members = {row.name: (row.gid, row.members) for row in rows if isinstance(row, groups.Group)}
    fields = [line.split(":") for line in told.splitlines()]
    assert members == {each[0]: (int(each[2]), listed(each[3])) for each in fields}
