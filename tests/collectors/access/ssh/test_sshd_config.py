from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.access.ssh.config_files import MAX_BYTES
from collectors.access.ssh.match_block import scope_text
from collectors.access.ssh.sshd_config import Configuration, read_configuration
from collectors.contract import Gap
from collectors.reading.host import Host

MAIN = "/etc/ssh/sshd_config"


def configured(root: Path, files: dict[str, str | bytes]) -> Configuration:
    for name, content in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_configuration(Host(str(root), secret=b""))


def told(configuration: Configuration) -> list[tuple[str, str, int, str]]:
    return [
        (" ".join((each.keyword, *each.arguments)), os.path.basename(each.path), each.line, scope_text(each.scope))
        for each in configuration.directives
    ]


def test_an_include_stands_where_it_is_written_and_its_match_ends_with_its_file(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        MAIN: "Port 1\nInclude d/*.conf\nPort 2\nMatch User bob\nInclude other\nBanner main\n",
        "/etc/ssh/d/b.conf": "Port 3\n",
        "/etc/ssh/d/a.conf": "Match Group staff\nBanner a\n",
        "/etc/ssh/other": "Banner other\nMatch Address 10.*\nBanner nested\n",
    }
    assert told(configured(tmp_path, files)) == [
        ("port 1", "sshd_config", 1, ""),
        ("banner a", "a.conf", 2, "group staff"),
        ("port 3", "b.conf", 1, ""),
        ("port 2", "sshd_config", 3, ""),
        ("banner other", "other", 1, "user bob"),
        ("banner nested", "other", 3, "user bob address 10.*"),
        ("banner main", "sshd_config", 6, "user bob"),
    ]


def test_a_bad_line_is_a_gap_with_its_number_and_the_others_are_kept(tmp_path: Path) -> None:
    configuration = configured(tmp_path, {MAIN: b'Port 22\nBanner "x\nUsePAM\nPort\0 23\nMaxSessions 4\n'})
    assert [each[0] for each in told(configuration)] == ["port 22", "maxsessions 4"]
    assert [(each.reason, each.line) for each in configuration.gaps] == [
        ("malformed", 2),
        ("malformed", 3),
        ("malformed", 4),
    ]


def test_what_stands_under_a_match_that_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    configuration = configured(tmp_path, {MAIN: "Match User\nPermitTTY no\nMatch User bob\nBanner x\n"})
    assert told(configuration) == [("banner x", "sshd_config", 4, "user bob")]
    (gap,) = configuration.gaps
    assert (gap.reason, gap.line) == ("malformed", 1)


def test_match_exec_is_text_and_nothing_runs(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    configuration = configured(tmp_path, {MAIN: f'Match exec "touch {ran}" user bob\nBanner x\n'})
    assert told(configuration)[0][3] == f'exec "touch {ran}" user bob'
    assert [each.line for each in configuration.gaps] == [1]
    assert not ran.exists()


def test_an_include_that_finds_nothing_is_no_gap(tmp_path: Path) -> None:
    assert configured(tmp_path, {MAIN: "Include none/*.conf /etc/none ~/x\n"}).gaps == []


def test_an_include_of_itself_ends_at_the_depth_of_sshd(tmp_path: Path) -> None:
    configuration = configured(tmp_path, {MAIN: "Include sshd_config\nPort 22\n"})
    assert len(configuration.directives) == 17
    (gap,) = configuration.gaps
    assert (gap.reason, gap.line) == ("malformed", 1)


def test_files_that_include_each_other_twice_end_at_the_budget(tmp_path: Path) -> None:
    configuration = configured(tmp_path, {MAIN: "Include sshd_config sshd_config\n"})
    assert [each.reason for each in configuration.gaps] == ["malformed", "truncated"]


def test_a_file_past_the_budget_of_bytes_is_cut_and_said(tmp_path: Path) -> None:
    configuration = configured(tmp_path, {MAIN: b"Port 22\n" + b"#" * MAX_BYTES + b"\nPort 23\n"})
    assert [each[0] for each in told(configuration)] == ["port 22"]
    assert [each.reason for each in configuration.gaps] == ["truncated"]


def test_a_fifo_and_a_link_out_of_place_among_the_includes_are_gaps(tmp_path: Path) -> None:
    folder = tmp_path / "etc/ssh/d"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "a.conf")
    (folder / "b.conf").symlink_to("/nowhere")
    (folder / "c.conf").symlink_to("../moved.conf")
    configuration = configured(tmp_path, {MAIN: "Include d/*.conf\n", "/etc/ssh/moved.conf": "Port 22\n"})
    assert [each[0] for each in told(configuration)] == ["port 22"]
    assert [(os.path.basename(each.source), each.reason) for each in configuration.gaps] == [
        ("a.conf", "not_regular"),
        ("b.conf", "absent"),
    ]


def test_an_include_of_another_part_of_the_tree_is_not_opened(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {MAIN: "Include /home/bob/x /etc/../home/bob/x\n", "/home/bob/x": "Port 22\n"}
    configured(tmp_path, files)
    host = Host(str(tmp_path), secret=b"")
    configuration = read_configuration(host)
    assert host.opened == [MAIN]
    assert configuration.directives == []
    assert [each.reason for each in configuration.gaps] == ["not_entered", "not_entered"]


def test_the_vendors_file_counts_where_there_is_no_other(tmp_path: Path) -> None:
    configuration = configured(tmp_path, {"/usr/etc/ssh/sshd_config": "Port 22\n"})
    assert [each.path for each in configuration.directives] == ["/usr/etc/ssh/sshd_config"]
    configuration = configured(tmp_path, {MAIN: "Port 23\n"})
    assert [each.path for each in configuration.directives] == [MAIN]


def test_no_file_at_all_is_absent(tmp_path: Path) -> None:
    configuration = configured(tmp_path, {})
    assert configuration.absent
    assert configuration.gaps == [Gap(MAIN, "absent")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300) | st.text(alphabet="MatchInclude us=\"'\n#*/\\", max_size=300).map(str.encode))
def test_any_bytes_give_directives_and_gaps(tmp_path: Path, content: bytes) -> None:
    configuration = configured(tmp_path, {MAIN: content})
    assert all(each.keyword and each.arguments for each in configuration.directives)


def test_a_line_of_bytes_that_are_not_utf8_is_read_without_loss(tmp_path: Path) -> None:
    (directive,) = configured(tmp_path, {MAIN: b"Banner /etc/\xff\n"}).directives
    assert os.fsencode(directive.arguments[0]) == b"/etc/\xff"
