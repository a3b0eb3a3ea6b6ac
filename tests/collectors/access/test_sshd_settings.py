from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from collectors.access.sshd_settings import TABLE, SshdSetting
from collectors.contract import Gap, UnsupportedError
from collectors.reading.host import Host

MAIN = "etc/ssh/sshd_config"


def image(root: Path, config: str) -> Host:
    (root / "etc/ssh").mkdir(parents=True, exist_ok=True)
    (root / MAIN).write_text(config)
    return Host(str(root), secret=b"")


def recorded(folder: Path, config: str, output: bytes) -> Host:
    image(folder / "root", config)
    (folder / "commands").mkdir()
    (folder / "commands/sshd-test").write_bytes(output)
    return Host.recorded(str(folder))


def collected(host: Host) -> tuple[list[SshdSetting], list[Gap]]:
    found = list(TABLE.collect(host))
    rows = [each for each in found if isinstance(each, SshdSetting)]
    for each in rows:
        msgspec.convert(msgspec.to_builtins(each), SshdSetting)
    keys = [tuple(getattr(each, name) for name in TABLE.key) for each in rows]
    assert len(keys) == len(set(keys))
    return rows, [each for each in found if isinstance(each, Gap)]


def brief(rows: list[SshdSetting]) -> list[tuple[str, str, int, str, str | None, int | None, str]]:
    return [
        (each.setting, each.match, each.index, each.value, each.configured, each.line, each.method) for each in rows
    ]


def test_an_image_is_read_from_its_files_without_a_gap(tmp_path: Path) -> None:
    config = "PermitTTY no\nPermitTTY yes\nAcceptEnv A B\nMatch User bob\nPermitTTY yes\n"
    rows, gaps = collected(image(tmp_path, config))
    assert gaps == []
    assert brief(rows) == [
        ("permittty", "", 0, "no", "no", 1, "parsed"),
        ("acceptenv", "", 0, "A", "A", 3, "parsed"),
        ("acceptenv", "", 1, "B", "B", 3, "parsed"),
        ("permittty", "user bob", 0, "yes", "yes", 5, "parsed"),
    ]
    assert {each.source for each in rows} == {"/etc/ssh/sshd_config"}


def test_what_the_server_says_stands_beside_what_the_files_say(tmp_path: Path) -> None:
    config = "LoginGraceTime 2m\nListenAddress localhost\nProtocol 2\nMatch User bob\nBanner x\n"
    output = b"logingracetime 120\nusedns no\nlistenaddress 127.0.0.1:22\nlistenaddress [::1]:22\nbanner none\n"
    rows, gaps = collected(recorded(tmp_path, config, output))
    assert gaps == []
    assert sorted(brief(rows)) == [
        ("banner", "", 0, "none", None, None, "sshd -T"),
        ("banner", "user bob", 0, "x", "x", 5, "parsed"),
        ("listenaddress", "", 0, "127.0.0.1:22", "localhost", 2, "sshd -T"),
        ("listenaddress", "", 1, "[::1]:22", "localhost", 2, "sshd -T"),
        ("logingracetime", "", 0, "120", "2m", 1, "sshd -T"),
        ("protocol", "", 0, "2", "2", 3, "parsed"),
        ("usedns", "", 0, "no", None, None, "sshd -T"),
    ]


def test_a_server_that_says_nonsense_is_a_gap_and_the_files_are_read(tmp_path: Path) -> None:
    rows, gaps = collected(recorded(tmp_path, "Port 22\n", b"Usage: sshd\n"))
    assert [each.method for each in rows] == ["parsed"]
    assert [(each.source, each.reason) for each in gaps] == [("command:sshd-test", "command_failed")]


def test_a_server_that_refuses_is_a_gap_and_the_files_are_read(tmp_path: Path) -> None:
    """Older servers do, when a Match block asks about the connection."""
    host = recorded(tmp_path, "Match Address 10.*\nPermitTTY no\n", b"")
    (tmp_path / "commands/sshd-test.exit").write_text("255")
    rows, gaps = collected(host)
    assert [(each.setting, each.match, each.method) for each in rows] == [("permittty", "address 10.*", "parsed")]
    assert [(each.source, each.reason) for each in gaps] == [("command:sshd-test", "command_failed")]


def test_a_host_without_a_server_has_no_such_thing(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError):
        list(TABLE.collect(Host(str(tmp_path), secret=b"")))


def test_a_server_without_its_configuration_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/sshd").touch()
    rows, gaps = collected(Host(str(tmp_path), secret=b""))
    assert (rows, gaps) == ([], [Gap("/etc/ssh/sshd_config", "absent")])


CANARY = "c4nary-Hunter2-S3cret"


def test_secrets_in_commands_and_variables_never_come_out(tmp_path: Path) -> None:
    config = (
        f"ForceCommand /bin/run --password={CANARY}\n"
        f"SetEnv API_TOKEN={CANARY}\n"
        f'Subsystem x /bin/x --secret "{CANARY}"\n'
        f'Match exec "curl -u admin:{CANARY} http://x"\nAuthorizedKeysCommand /bin/keys --token {CANARY} %u\n'
        f'Match User\n{CANARY} x\nBanner "{CANARY}\n'
    )
    rows, gaps = collected(image(tmp_path, config))
    assert len(rows) == 4
    assert "redacted" in msgspec.json.encode(rows).decode()
    for each in (*rows, *gaps):
        assert CANARY not in msgspec.json.encode(each).decode()
        assert CANARY not in repr(each)


def test_names_of_algorithms_are_not_taken_for_tokens(tmp_path: Path) -> None:
    name = "sk-ssh-ed25519-cert-v01@openssh.com"
    (row,), _ = collected(image(tmp_path, f"PubkeyAcceptedKeyTypes +{name}\n"))
    assert (row.setting, row.value) == ("pubkeyacceptedalgorithms", f"+{name}")


def test_bytes_that_are_not_utf8_are_shown(tmp_path: Path) -> None:
    host = image(tmp_path, "")
    (tmp_path / MAIN).write_bytes(b"Banner /etc/\xff\n")
    (row,), _ = collected(host)
    assert row.value == r"/etc/\xff"
