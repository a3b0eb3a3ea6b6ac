from __future__ import annotations

import base64
import os
import socket
import time
from pathlib import Path

import msgspec
import pytest

from collectors.access.ssh import key_files, key_globs, key_walk, wire
from collectors.access.ssh_authorized_keys import TABLE, SshAuthorizedKey
from collectors.contract import Gap
from collectors.reading.host import Host
from tests.collectors.access.ssh.keygen import listed, made

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
FINGERPRINT = "SHA256:lbmsoA0yIEcEiVDRnMWuzm+nV+3ZEEpVIURqFoeSspg"
ME = os.getuid()

PASSWD = (
    "root:x:0:0::/root:/bin/bash\n"
    "daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n"
    "gone:x:2:2::/nonexistent:/bin/false\n"
    f"bob:x:{ME}:1001::/home/bob:/bin/bash\n"
    "alice:x:1002:1002::/home/alice:/bin/bash\n"
)
GROUP = "staff:x:50:alice\nbob:x:1001:\nalice:x:1002:\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("etc/ssh", "root", "home/bob/.ssh", "home/alice/.ssh"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("", "home", "home/bob", "home/bob/.ssh", "home/alice", "home/alice/.ssh"):
        (tmp_path / folder).chmod(0o755)
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    (tmp_path / "etc/shadow").write_text(f"root:$6$salt$hash:1::::::\n{KEY} planted\n")
    return tmp_path


def write(root: Path, name: str, text: str | bytes, mode: int = 0o600) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


def collected(root: Path) -> tuple[list[SshAuthorizedKey], list[Gap]]:
    return sorted_out(Host(str(root), secret=b"secret"))


def sorted_out(host: Host) -> tuple[list[SshAuthorizedKey], list[Gap]]:
    found = list(TABLE.collect(host))
    rows = [each for each in found if isinstance(each, SshAuthorizedKey)]
    for each in rows:
        msgspec.convert(msgspec.to_builtins(each), SshAuthorizedKey)
    keys = [tuple(getattr(each, name) for name in TABLE.key) for each in rows]
    assert len(keys) == len(set(keys))
    return rows, [each for each in found if isinstance(each, Gap)]


def test_a_row_tells_whose_key_it_is_and_what_it_may(root: Path) -> None:
    options = 'restrict,from="10.0.0.0/8,*.example.org",command="/bin/backup \\"a b\\"",expiry-time="20270101Z"'
    path = write(root, "home/bob/.ssh/authorized_keys", f"# mine\n{options} {KEY} bob@laptop\n")
    os.utime(path, (0, 1_700_000_000))
    (row,), gaps = collected(root)
    assert gaps == []
    assert row == SshAuthorizedKey(
        user="bob",
        path="/home/bob/.ssh/authorized_keys",
        path_b64=None,
        line=2,
        fingerprint=FINGERPRINT,
        kind="key",
        type="ssh-ed25519",
        bits=256,
        signed_by=None,
        comment_hmac=Host(str(root), secret=b"secret").pseudonym("bob@laptop"),
        options=(
            "restrict",
            'from="10.0.0.0/8,*.example.org"',
            'command="/bin/backup \\"a b\\""',
            'expiry-time="20270101Z"',
        ),
        command='/bin/backup "a b"',
        from_patterns=("10.0.0.0/8", "*.example.org"),
        principals=None,
        expires="2027-01-01T00:00:00Z",
        refused=None,
        match=("",),
        mode="0600",
        owner_uid=ME,
        owner_ok=True,
        modified="2023-11-14T22:13:20Z",
    )


def test_both_default_files_are_read_and_users_without_any_are_no_gap(root: Path) -> None:
    write(root, "home/bob/.ssh/authorized_keys", KEY)
    write(root, "home/alice/.ssh/authorized_keys2", KEY)
    rows, gaps = collected(root)
    assert gaps == []
    assert [(each.user, each.path) for each in rows] == [
        ("bob", "/home/bob/.ssh/authorized_keys"),
        ("alice", "/home/alice/.ssh/authorized_keys2"),
    ]


def test_one_key_twice_in_a_file_is_two_rows(root: Path) -> None:
    write(root, "home/bob/.ssh/authorized_keys", f"{KEY}\n{KEY}\n")
    assert [each.line for each in collected(root)[0]] == [1, 2]


def test_bad_lines_are_gaps_with_their_numbers_and_the_others_are_kept(root: Path) -> None:
    write(root, "home/bob/.ssh/authorized_keys", f"hunter2\n{KEY}\nssh-rsa AAAA\n\nhunter2 {KEY}\n")
    rows, gaps = collected(root)
    assert [(each.line, each.refused is None) for each in rows] == [(2, True), (5, False)]
    assert [(each.reason, each.line) for each in gaps] == [("malformed", 1), ("malformed", 3)]
    assert "hunter2" not in repr((rows, gaps))


def test_many_bad_lines_are_counted_in_one_gap(root: Path) -> None:
    write(root, "home/bob/.ssh/authorized_keys", "x\n" * 100_000)
    _, gaps = collected(root)
    assert len(gaps) == key_files.MAX_MALFORMED + 1
    assert sum(each.count for each in gaps) == 100_000


def test_the_first_of_two_lines_of_one_name_counts(root: Path) -> None:
    write(root, "etc/passwd", PASSWD + "bob:x:7:7::/home/alice:/bin/sh\n+nis\n", 0o644)
    write(root, "home/alice/.ssh/authorized_keys", KEY)
    assert [each.user for each in collected(root)[0]] == ["alice"]


def test_a_home_that_is_no_path_is_a_gap(root: Path) -> None:
    write(root, "etc/passwd", "odd:x:7:7::relative:/bin/sh\n", 0o644)
    _, gaps = collected(root)
    assert [each.reason for each in gaps] == ["malformed"]


# What sshd is configured to read.


def test_paths_come_from_the_configuration_and_a_match_block_is_named(root: Path) -> None:
    write(
        root,
        "etc/ssh/sshd_config",
        "AuthorizedKeysFile /etc/ssh/keys/%u none\n"
        "Match Group staff\nAuthorizedKeysFile /etc/ssh/staff\nMatch Address 10.*\nAuthorizedKeysFile %h/k\n",
    )
    for name in (
        "etc/ssh/keys/bob",
        "etc/ssh/keys/alice",
        "etc/ssh/staff",
        "home/bob/k",
        "home/bob/.ssh/authorized_keys",
    ):
        write(root, name, KEY, 0o644)
    rows, gaps = collected(root)
    assert gaps == []
    assert [(each.user, each.path, each.match) for each in rows] == [
        ("bob", "/home/bob/k", ("address 10.*",)),
        ("bob", "/etc/ssh/keys/bob", ("",)),
        ("alice", "/etc/ssh/staff", ("group staff",)),
    ]


def test_a_shared_file_is_read_once_for_all_users_and_its_gaps_are_told_once(root: Path) -> None:
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile /etc/ssh/shared /etc/ssh/fifo\n")
    write(root, "etc/ssh/shared", f"{KEY}\nnonsense\n")
    os.mkfifo(root / "etc/ssh/fifo")
    host = Host(str(root), secret=b"")
    rows, gaps = sorted_out(host)
    assert [each.user for each in rows] == ["root", "daemon", "gone", "bob", "alice"]
    assert [each.reason for each in gaps] == ["malformed", "not_regular"]
    assert host.opened.count("/etc/ssh/shared") == 1


def test_authorities_and_principals_are_rows_of_their_own_kind(root: Path) -> None:
    write(root, "etc/ssh/sshd_config", "TrustedUserCAKeys /etc/ssh/ca\nAuthorizedPrincipalsFile /etc/ssh/names/%u\n")
    write(root, "etc/ssh/ca", f"# ours\n{KEY} the authority\n")
    write(root, "etc/ssh/names/bob", 'from="10.0.0.0/8" deploy\n')
    write(root, "home/alice/.ssh/authorized_keys", f'cert-authority,principals="a,b" {KEY}\n')
    rows, gaps = collected(root)
    assert gaps == []
    assert [(each.user, each.kind, each.principals, each.fingerprint is None) for each in rows] == [
        (None, "authority", None, False),
        ("bob", "principal", ("deploy",), True),
        ("alice", "authority", ("a", "b"), False),
    ]
    assert rows[0].owner_ok is None


def test_a_configured_authority_that_is_not_there_is_a_gap(root: Path) -> None:
    write(root, "etc/ssh/sshd_config", "TrustedUserCAKeys /etc/ssh/ca\n")
    assert collected(root)[1] == [Gap("/etc/ssh/ca", "absent")]


def test_keys_that_a_program_gives_are_said_to_be_unlisted(root: Path) -> None:
    write(
        root,
        "etc/ssh/sshd_config",
        "AuthorizedKeysCommand /usr/bin/sss_ssh_authorizedkeys --token Hunter2xyz\nAuthorizedPrincipalsCommand none\n"
        "Match User bob\nAuthorizedPrincipalsCommand /bin/names %u\n",
    )
    _, gaps = collected(root)
    assert [(each.source, each.reason, each.line) for each in gaps] == [
        ("/etc/ssh/sshd_config", "unenumerable", 1),
        ("/etc/ssh/sshd_config", "unenumerable", 4),
    ]
    assert "Hunter2xyz" not in repr(gaps)


def test_a_token_that_sshd_has_not_is_a_gap(root: Path) -> None:
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile /etc/keys/%x\n")
    assert {each.reason for each in collected(root)[1]} == {"malformed"}


# Who else could have written it.


@pytest.mark.parametrize("loose", ["home/bob/.ssh/authorized_keys", "home/bob/.ssh", "home/bob"])
def test_a_file_or_folder_that_others_may_write_is_not_ok(root: Path, loose: str) -> None:
    write(root, "home/bob/.ssh/authorized_keys", KEY)
    (root / loose).chmod(0o777)
    assert [each.owner_ok for each in collected(root)[0]] == [False]


def test_what_lies_above_the_home_is_not_asked(root: Path) -> None:
    write(root, "home/bob/.ssh/authorized_keys", KEY)
    (root / "home").chmod(0o777)
    assert [each.owner_ok for each in collected(root)[0]] == [True]


def test_outside_the_home_all_folders_are_asked(root: Path) -> None:
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile /etc/ssh/keys/%u\n")
    write(root, "etc/ssh/keys/bob", KEY)
    (root / "etc").chmod(0o777)
    assert [each.owner_ok for each in collected(root)[0]] == [False]


@pytest.mark.needs_root
def test_a_file_of_another_user_is_not_ok(root: Path) -> None:
    os.chown(write(root, "home/alice/.ssh/authorized_keys", KEY), 1003, 1003)
    (row,), _ = collected(root)
    assert (row.owner_uid, row.owner_ok) == (1003, False)


# What a user may prepare.


@pytest.mark.parametrize(
    "target", ["/etc/shadow", "../../../etc/shadow", "/proc/self/root/etc/shadow", "authorized_keys"]
)
def test_a_link_in_place_of_the_file_is_refused_and_its_target_never_opened(root: Path, target: str) -> None:
    (root / "home/bob/.ssh/authorized_keys").symlink_to(target)
    host = Host(str(root), secret=b"")
    rows, gaps = sorted_out(host)
    assert rows == []
    assert [(each.source, each.reason) for each in gaps] == [("/home/bob/.ssh/authorized_keys", "link_refused")]
    assert not any("shadow" in each for each in host.opened)


def test_a_link_in_place_of_the_folder_is_refused_too(root: Path) -> None:
    write(root, "etc/authorized_keys", KEY)
    (root / "home/bob/.ssh").rmdir()
    (root / "home/bob/.ssh").symlink_to("/etc")
    host = Host(str(root), secret=b"")
    rows, gaps = sorted_out(host)
    assert rows == []
    assert {each.reason for each in gaps} == {"link_refused"}
    assert set(host.opened) == {"/etc/passwd", "/etc/group"}


@pytest.mark.needs_root
def test_a_link_in_a_folder_outside_the_home_is_refused_where_a_user_could_have_put_it(root: Path) -> None:
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile /var/keys/%u/authorized_keys /home/alice/shared\n")
    (root / "var/keys/bob").mkdir(parents=True)
    os.chown(root / "var/keys/bob", 1001, 1001)
    os.chown(root / "home/alice", 1002, 1002)
    (root / "var/keys/bob/authorized_keys").symlink_to("/etc/shadow")
    (root / "home/alice/shared").symlink_to("/etc/shadow")
    host = Host(str(root), secret=b"")
    rows, gaps = sorted_out(host)
    assert rows == []
    assert {(each.source, each.reason) for each in gaps} == {
        ("/var/keys/bob/authorized_keys", "link_refused"),
        ("/home/alice/shared", "link_refused"),
    }
    assert not any("shadow" in each for each in host.opened)


@pytest.mark.needs_root
def test_a_link_that_only_root_can_have_made_is_followed(root: Path) -> None:
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile /etc/keys/%u\n")
    write(root, "srv/keys/bob", KEY)
    for folder in ("etc", "srv", "srv/keys"):
        (root / folder).chmod(0o755)
    (root / "etc/keys").symlink_to("/srv/keys")
    rows, gaps = collected(root)
    assert gaps == []
    assert [each.path for each in rows] == ["/etc/keys/bob"]


def test_a_fifo_a_socket_and_a_folder_are_gaps_and_nothing_blocks(root: Path) -> None:
    os.mkfifo(root / "home/bob/.ssh/authorized_keys")
    (root / "home/alice/.ssh/authorized_keys").mkdir()
    here = os.getcwd()
    os.chdir(root / "home/bob/.ssh")  # the name of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("authorized_keys2")
    finally:
        os.chdir(here)
    rows, gaps = collected(root)
    assert rows == []
    assert [each.reason for each in gaps] == ["not_regular"] * 3


@pytest.mark.needs_root
def test_a_device_is_never_opened(root: Path) -> None:
    os.mknod(root / "home/bob/.ssh/authorized_keys", 0o20666, os.makedev(1, 5))
    host = Host(str(root), secret=b"")
    rows, gaps = sorted_out(host)
    assert (rows, [each.reason for each in gaps]) == ([], ["not_regular"])
    assert "/home/bob/.ssh/authorized_keys" not in host.opened


def test_an_endless_sparse_file_is_cut_and_said(root: Path) -> None:
    path = write(root, "home/bob/.ssh/authorized_keys", f"{KEY}\n")
    os.truncate(path, 1 << 40)
    rows, gaps = collected(root)
    assert [each.line for each in rows] == [1]
    assert [each.reason for each in gaps] == ["truncated"]


def test_a_line_cut_at_the_limit_is_not_taken_for_a_key(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_files, "MAX_FILE_BYTES", 2 * len(KEY))
    write(root, "home/bob/.ssh/authorized_keys", f"{KEY}\n{KEY}\n")
    rows, gaps = collected(root)
    assert [each.line for each in rows] == [1]
    assert [each.reason for each in gaps] == ["truncated"]


def test_a_file_of_too_many_lines_is_cut_and_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_files, "MAX_LINES", 3)
    write(root, "home/bob/.ssh/authorized_keys", f"{KEY}\n" * 5)
    rows, gaps = collected(root)
    assert [each.line for each in rows] == [1, 2, 3]
    assert [(each.reason, each.line) for each in gaps] == [("truncated", 4)]


def test_past_the_budget_of_bytes_every_file_left_out_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_walk, "MAX_BYTES", len(PASSWD) + len(GROUP) + 10)
    for user in ("bob", "alice"):
        write(root, f"home/{user}/.ssh/authorized_keys", KEY)
    rows, gaps = collected(root)
    assert [each.user for each in rows] == ["bob"]
    assert {each.reason for each in gaps} == {"truncated"}


def test_one_users_keys_push_out_nobody_elses(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_walk, "TABLE_BYTES", 100_000)
    monkeypatch.setattr(key_walk, "SHARE_BYTES", 10_000)
    write(root, "home/bob/.ssh/authorized_keys", f"{KEY}\n# x\n" * 500)
    write(root, "home/bob/.ssh/authorized_keys2", f"\n{KEY}\n" * 2)
    write(root, "home/alice/.ssh/authorized_keys", KEY)
    rows, gaps = collected(root)
    assert [each.user for each in rows].index("alice") < 20
    lines = [each.line for each in rows if each.user == "bob"]
    assert lines == list(range(1, 2 * len(lines), 2))
    assert 50 < len(lines) < 200
    detail = "lines left out for user bob: the table has no room for more"
    assert gaps == [
        Gap("/home/bob/.ssh/authorized_keys", "truncated", detail, line=lines[-1] + 2, count=500 - len(lines)),
        Gap("/home/bob/.ssh/authorized_keys2", "truncated", detail, line=2, count=2),
    ]


def test_all_keys_of_a_large_file_are_listed_while_there_is_room(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_walk, "SHARE_BYTES", 10_000)
    write(root, "home/bob/.ssh/authorized_keys", f"{KEY}\nbad\n" * 100)
    rows, gaps = collected(root)
    assert [each.line for each in rows] == list(range(1, 201, 2))
    assert [each.line for each in gaps] == [*range(2, 2 * key_files.MAX_MALFORMED + 1, 2), None]
    assert sum(each.count for each in gaps) == 100


def test_the_gaps_of_a_shared_file_are_told_once_even_if_it_is_more_than_a_share(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_walk, "SHARE_BYTES", 2_000)
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile /etc/ssh/shared\n")
    write(root, "etc/ssh/shared", f"{KEY}\nbad\n" * 10)
    rows, gaps = collected(root)
    assert len(rows) == 50
    assert [each.line for each in gaps] == list(range(2, 21, 2))


def test_a_shared_file_of_many_bad_lines_is_also_said_to_be_cut(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile /etc/ssh/shared\n")
    write(root, "etc/ssh/shared", "bad\n" * 100)
    monkeypatch.setattr(key_files, "MAX_FILE_BYTES", 200)
    rows, gaps = collected(root)
    assert rows == []
    told = [(each.reason, each.count) for each in gaps if each.line is None]
    assert told == [("malformed", 50 - key_files.MAX_MALFORMED), ("truncated", 1)]


def test_one_users_gaps_are_counted_when_they_are_many(root: Path) -> None:
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile %h/k/*\n")
    for number in range(150):
        (root / "home/bob/k").mkdir(exist_ok=True)
        (root / f"home/bob/k/{number}").symlink_to("/etc/shadow")
    write(root, "home/alice/k/1", f"nonsense\n{KEY}\n")
    rows, gaps = collected(root)
    assert [each.user for each in rows] == ["alice"]
    assert len([each for each in gaps if each.reason == "link_refused"]) <= key_walk.MAX_GAPS
    assert sum(each.count for each in gaps if each.reason in {"link_refused", "truncated"}) == 150
    assert ("/home/alice/k/1", "malformed") in [(each.source, each.reason) for each in gaps]


# Wildcards in the paths of keys.


@pytest.fixture
def wild(root: Path) -> Path:
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile /etc/ssh/keys/%u/* .ssh/authorized_keys\n")
    for name in ("laptop", "desk[top]", ".hidden"):
        write(root, f"etc/ssh/keys/bob/{name}", KEY)
    write(root, "home/bob/.ssh/authorized_keys", KEY)
    return root


def test_files_that_fit_a_pattern_are_listed_and_an_unknown_version_is_a_gap_once(wild: Path) -> None:
    write(wild, "etc/ssh/keys/alice/laptop", KEY)
    rows, gaps = collected(wild)
    assert [(each.user, each.path) for each in rows] == [
        ("bob", "/etc/ssh/keys/bob/desk[top]"),
        ("bob", "/etc/ssh/keys/bob/laptop"),
        ("bob", "/home/bob/.ssh/authorized_keys"),
        ("alice", "/etc/ssh/keys/alice/laptop"),
    ]
    assert [(each.source, each.reason) for each in gaps] == [("/etc/ssh/keys/%u/*", "unknown_format")]


@pytest.mark.parametrize("program", ["usr/lib/openssh/sshd-auth", "usr/libexec/openssh/sshd-auth"])
def test_a_server_that_has_come_to_version_ten_leaves_no_gap(wild: Path, program: str) -> None:
    write(wild, program, "")
    rows, gaps = collected(wild)
    assert (len(rows), gaps) == (3, [])


def test_a_file_whose_name_is_the_pattern_is_listed_for_older_servers(root: Path) -> None:
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile /etc/ssh/keys[12]\n")
    write(root, "etc/ssh/keys[12]", KEY)
    write(root, "etc/ssh/keys1", KEY)
    rows, gaps = collected(root)
    assert {each.path for each in rows} == {"/etc/ssh/keys[12]", "/etc/ssh/keys1"}
    assert [each.reason for each in gaps] == ["unknown_format"]


def test_a_pattern_that_nothing_fits_is_no_gap(root: Path) -> None:
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile /etc/ssh/keys/%u/*\nAuthorizedPrincipalsFile /etc/p/*\n")
    assert collected(root) == ([], [])


def test_a_file_that_two_patterns_fit_is_listed_once_with_both(root: Path) -> None:
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile %h/k*\nMatch Address 10.*\nAuthorizedKeysFile %h/*1 %h/k1\n")
    write(root, "home/bob/k1", KEY)
    (row,), _ = collected(root)
    assert row.match == ("address 10.*", "")


def test_a_link_in_a_users_folder_of_keys_is_refused_and_a_linked_folder_too(root: Path) -> None:
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile %h/*/k\n")
    (root / "home/bob/a").symlink_to("/etc")
    write(root, "home/bob/b/k", KEY)
    rows, gaps = collected(root)
    assert [each.path for each in rows] == ["/home/bob/b/k"]
    assert ("/home/bob/a/k", "link_refused") in [(each.source, each.reason) for each in gaps]


def test_a_folder_of_too_many_keys_is_cut_and_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_globs, "MAX_FILES", 2)
    write(root, "etc/ssh/sshd_config", "AuthorizedKeysFile %h/k/*\n")
    for name in "abcde":
        write(root, f"home/bob/k/{name}", KEY)
    rows, gaps = collected(root)
    assert [each.path[-1] for each in rows] == ["a", "b"]
    assert ("/home/bob/k/*", "truncated", 3) in [(each.source, each.reason, each.count) for each in gaps]


def test_what_stands_before_a_nul_is_a_key_as_it_is_for_sshd_and_a_gap_too(root: Path) -> None:
    write(root, "home/bob/.ssh/authorized_keys", f"{KEY} x\0y\n\0{KEY}\n".encode())
    rows, gaps = collected(root)
    assert [each.line for each in rows] == [1]
    assert [(each.reason, each.line) for each in gaps] == [("malformed", 1), ("malformed", 2)]


def test_a_comment_that_is_not_utf8_hides_no_key(root: Path) -> None:
    write(root, "home/bob/.ssh/authorized_keys", KEY.encode() + b" J\xfcrgen\n")
    (row,), gaps = collected(root)
    assert gaps == []
    assert row.comment_hmac == Host(str(root), secret=b"secret").pseudonym("J\udcfcrgen")


def test_a_path_that_is_not_utf8_is_kept_without_loss(root: Path) -> None:
    write(root, "etc/ssh/sshd_config", b"AuthorizedKeysFile k\xff\n")
    write(root, os.fsdecode(b"home/bob/k\xff"), KEY)
    (row,), _ = collected(root)
    assert row.path == r"/home/bob/k\xff"
    assert row.path_b64 is not None
    assert base64.b64decode(row.path_b64) == b"/home/bob/k\xff"


def test_a_blob_whose_length_lies_is_a_gap(root: Path) -> None:
    blob = base64.b64encode(wire.text(b"ssh-ed25519") + b"\xff\xff\xff\xff" + b"x" * 32).decode()
    write(root, "home/bob/.ssh/authorized_keys", f"ssh-ed25519 {blob}\n")
    rows, gaps = collected(root)
    assert (rows, [each.reason for each in gaps]) == ([], ["malformed"])


@pytest.mark.slow
def test_many_thousand_users_take_seconds(root: Path) -> None:
    write(root, "etc/passwd", "".join(f"u{each}:x:{each}:1::/home/u{each}:/bin/sh\n" for each in range(25_000)))
    write(root, "home/u24999/.ssh/authorized_keys", KEY)
    started = time.process_time()
    rows, gaps = collected(root)
    assert ([each.user for each in rows], gaps) == (["u24999"], [])
    assert time.process_time() - started < 25


def test_a_megabyte_of_options_is_one_row(root: Path) -> None:
    write(root, "home/bob/.ssh/authorized_keys", "pty," * 250_000 + f"pty {KEY}\n")
    (row,), _ = collected(root)
    assert len(row.options) == 250_001


# Secrets and people.

CANARIES = (
    "c4nary-Hunter2-comment",
    "c4naryHunter2command",
    "c4naryHunter2variable",
    "c4naryHunter2option",
    "c4naryHunter2name",
)


def test_secrets_and_comments_never_come_out(root: Path) -> None:
    comment, command, variable, option, name = CANARIES
    write(root, "etc/ssh/sshd_config", "AuthorizedPrincipalsFile /etc/ssh/names\n")
    write(root, "etc/ssh/names", f'command="/bin/x --password={name}" deploy\n{name} ops\n')
    write(
        root,
        "home/bob/.ssh/authorized_keys",
        f"{KEY} {comment}\n"
        f'command="/bin/backup --password {command} --token={command}",environment="API_TOKEN={variable}" {KEY}\n'
        f"{option} {KEY} {comment}\n"
        f'command="{option}\n'
        f"{option}\n"
        f'environment="A B={variable}" {KEY}\n'
        f'expiry-time="{option}" {KEY}\n',
    )
    rows, gaps = collected(root)
    assert {each.line for each in rows if each.path.startswith("/home")} == {1, 2, 3, 6, 7}
    assert gaps
    for each in (*rows, *gaps):
        assert "Hunter2" not in msgspec.json.encode(each).decode()
        assert "Hunter2" not in repr(each)
    assert any("redacted" in option for each in rows for option in each.options)


@pytest.mark.needs_program("ssh-keygen")
def test_rows_agree_with_ssh_keygen_on_a_file_of_many_keys(root: Path) -> None:
    folder = root / "home/bob/.ssh"
    lines = [
        made(folder, kind, bits).read_text().strip() for kind, bits in (("rsa", 2048), ("ecdsa", 384), ("ed25519", 256))
    ]
    path = write(root, "home/bob/.ssh/authorized_keys", "\n".join(f'from="*",no-pty {each}' for each in lines))
    rows, gaps = collected(root)
    assert gaps == []
    assert [(each.bits, each.fingerprint) for each in rows] == [(each.bits, each.fingerprint) for each in listed(path)]
