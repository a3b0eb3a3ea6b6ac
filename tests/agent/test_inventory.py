"""`evidenced inventory` as its users meet it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from agent.collection.receiver import Collection
from agent.main import COMMANDS
from agent.places import state_folder
from agent.summary import gap_lines
from agent.terminal import Progress, counted
from collectors.access import users
from collectors.contract import Gap
from evidence.errors import CommitError
from evidence.log import EvidenceStore
from program.errors import CommandError
from program.text import printable
from tests.agent.command_line import Evidenced, apart

HOSTS = Path(__file__).parent.parent.parent / "fixtures/hosts"
SMALL = ("--table", "users", "--table", "host")


def test_json_of_one_table_is_its_rows_and_nothing_else(evidenced: Evidenced, image: Path) -> None:
    ran = evidenced("inventory", "--root", image, "--table", "users", "--json")
    assert ran.code == 0
    assert [json.loads(line)["name"] for line in ran.lines] == ["ann", "root"]
    assert ran.err == ""


def test_json_of_several_tables_names_the_table_of_each_row(evidenced: Evidenced, image: Path) -> None:
    ran = evidenced("inventory", "--root", image, *SMALL, "--json")
    assert sorted(json.loads(line)["table"] for line in ran.lines) == ["host", "users", "users"]


def test_gaps_are_summarised_on_stderr_and_printed_as_ndjson_when_asked(evidenced: Evidenced, image: Path) -> None:
    ran = evidenced("inventory", "--root", image, "--table", "password_status", "--json")
    assert ran.code == 0
    assert "password_status  malformed  1  /etc/shadow" in ran.err
    ran = evidenced("inventory", "--root", image, "--table", "password_status", "--gaps")
    (line,) = ran.lines
    assert json.loads(line)["gap"]["line"] == 2
    assert "canary" not in ran.out + ran.err


def test_strict_makes_any_gap_exit_3(evidenced: Evidenced, image: Path) -> None:
    assert evidenced("inventory", "--root", image, "--table", "password_status", "--strict").code == 3
    assert evidenced("inventory", "--root", image, "--table", "users", "--strict").code == 0


def test_a_failed_table_exits_3_and_says_why(evidenced: Evidenced, tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text("")
    ran = evidenced("inventory", "--root", tmp_path, "--table", "packages")
    assert ran.code == 3
    assert "packages: failed:" in ran.out


def test_an_image_is_printed_only_and_nothing_is_written(evidenced: Evidenced, image: Path, state: Path) -> None:
    ran = evidenced("inventory", "--root", image, "--table", "users", "--state", state)
    assert ran.code == 0
    assert "Not signed: printed only." in ran.out
    assert not state.exists()


def test_an_image_is_signed_as_an_image_when_asked(evidenced: Evidenced, image: Path, state: Path) -> None:
    ran = evidenced("inventory", "--root", image, "--table", "users", "--sign", "--state", state)
    assert ran.code == 0
    assert "Signed as entry 1" in ran.out
    host = json.loads(evidenced("log", "show", "1", "--json", "--state", state).out)["predicate"]["host"]
    assert (host["name"], host["observed"]) == ("image.example", "image")


def test_no_path_of_the_image_stands_in_the_signed_statement(evidenced: Evidenced, image: Path, state: Path) -> None:
    evidenced("inventory", "--root", image, "--table", "users", "--sign", "--state", state)
    assert os.fspath(image) not in evidenced("log", "show", "1", "--json", "--state", state).out


def test_a_promise_and_labels_are_signed(evidenced: Evidenced, state: Path) -> None:
    ran = evidenced("inventory", *SMALL, "--sign", "--every", "31d", "--label", "role=web", "--state", state)
    assert ran.code == 0
    predicate = json.loads(evidenced("log", "show", "1", "--json", "--state", state).out)["predicate"]
    assert predicate["host"]["labels"] == {"role": "web"}
    assert {table["interval_s"] for table in predicate["tables"]} == {31 * 86400}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--table", "userz"), "did you mean users"),
        (("--every", "soon"), "such as 12h or 31d"),
        (("--label", "role"), "expected KEY=VALUE"),
        (("--label", "Role=web"), "a-z 0-9"),
        (("--label", "a=1", "--label", "a=2"), "each key once"),
        (("--label", "a="), "1 to 200 characters for a, found 0"),
        (("--label", "a=" + "x" * 100_000), "1 to 200 characters for a, found 100000"),
        (("--label", "A" * 100_000 + "=1"), "AAA…'"),
        (("--label", "x" * 100_000), "xxx…'"),
        (tuple(text for number in range(65) for text in ("--label", f"k{number}=v")), "at most 64 labels, found 65"),
        (tuple(text for number in range(64) for text in ("--label", f"k{number}={'€' * 100}")), "at most 16384 bytes"),
        (("--label", "a=\x1b[31m", "--sign"), "plain text"),
        (("--label", "a=\udcff", "--sign"), "plain text"),
        (("--every", "1\u0663d"), "such as 12h or 31d"),
        (("--every", "1d", "--table", "users"), "add --sign"),
        (("--label", "a=1", "--no-sign"), "add --sign"),
        (("--stat", "x"), "expected what its help names, found --stat x; did you mean --state; see: "),
        (("--state",), "--state: expected a value, found none; see: evidenced inventory --help"),
        (("--json=1",), "--json: expected no value, found '1'"),
        (("--state", ""), "found an empty text"),
        (("--root", ""), "--root: expected a folder, found an empty text"),
        (("--json", "--gaps"), "evidenced inventory: expected --json or --gaps, found both; see: evidenced inventory"),
        (("--root", "/proc/version"), "expected a folder"),
        (("--sign", "--no-sign"), "expected --sign or --no-sign, found both"),
    ],
)
def test_wrong_use_is_one_clear_line_and_exit_2_or_3(
    evidenced: Evidenced, arguments: tuple[str, ...], expected: str
) -> None:
    ran = evidenced("inventory", *arguments)
    assert ran.code in {2, 3}
    assert expected in ran.err
    assert ran.err.startswith("evidenced inventory: ")
    assert ran.err.count("\n") == 1
    assert len(ran.err) < 1000
    assert ran.out == ""


def test_the_machine_by_another_name_of_its_root_is_live(evidenced: Evidenced, state: Path) -> None:
    assert evidenced("inventory", "--root", "//", *SMALL, "--sign", "--state", state).code == 0
    host = json.loads(evidenced("log", "show", "1", "--json", "--state", state).out)["predicate"]["host"]
    assert host["observed"] == "live"


def test_a_recording_that_is_none_is_one_clear_line(evidenced: Evidenced, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "host.toml").touch()
    (tmp_path / "facts.json").write_text("[")
    ran = evidenced("inventory", "--root", tmp_path, "--table", "users")
    assert ran.code == 3
    assert len(ran.err.splitlines()) == 1


def test_what_was_read_is_shown_although_it_cannot_be_signed(
    evidenced: Evidenced, image: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise CommitError("segments", "a file on disk", "no space left on device")

    monkeypatch.setattr(EvidenceStore, "append_snapshot", refuse)
    ran = evidenced("inventory", "--root", image, "--table", "users", "--sign", "--state", state)
    assert ran.code == 3
    assert "1 table: 1 complete" in ran.out
    assert "Signed" not in ran.out
    assert ran.err == "evidenced inventory: segments: expected a file on disk, found no space left on device\n"


def test_the_source_that_failed_a_table_is_named() -> None:
    why = "its source could not be read: absent"
    gaps = [Gap("/etc/passwd", "absent"), Gap("users", "failed", why)]
    failed = Collection(users.TABLE, gaps=gaps, failure=why, coverage="failed")
    assert gap_lines([failed]) == [f"  users: failed: {why}", "  users  absent  1  /etc/passwd"]


def test_a_host_that_does_not_say_what_it_is_has_gaps_and_no_failed_table(evidenced: Evidenced, tmp_path: Path) -> None:
    ran = evidenced("inventory", "--root", tmp_path, "--table", "os_support", "--table", "users")
    assert ran.code == 0
    assert "2 tables: 2 partial · 0 rows · 2 gaps" in ran.out


def test_a_recorded_host_is_shown_without_who_reads_it(evidenced: Evidenced) -> None:
    ran = evidenced("inventory", "--root", HOSTS / "alpine", "--table", "users")
    assert ran.lines[0].endswith(f" · recorded host {HOSTS / 'alpine'}")


@pytest.mark.parametrize("make", ["file", "link", "open", "foreign"])
def test_an_unsafe_state_folder_is_refused_before_the_host_is_read(
    evidenced: Evidenced, tmp_path: Path, state: Path, make: str
) -> None:
    if make == "file":
        state.write_text("")
    elif make == "link":
        state.symlink_to(tmp_path)
    else:
        state.mkdir(mode=0o700)
        if make == "open":
            state.chmod(0o777)
        elif os.geteuid() == 0:
            os.chown(state, 12345, 12345)
        else:
            pytest.skip("needs root")
    ran = evidenced("inventory", *SMALL, "--sign", "--state", state)
    assert ran.code == 3
    assert len(ran.err.splitlines()) == 1
    assert ran.out == ""


def test_the_state_of_an_ordinary_user_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert state_folder() == "/x/evidenced"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/h")
    assert state_folder() == "/h/.local/state/evidenced"
    monkeypatch.setenv("HOME", "relative")
    with pytest.raises(CommandError, match="--state"):
        state_folder()


def test_foreign_text_cannot_move_the_cursor_or_reorder_a_line() -> None:
    assert printable("a\x1b[2Jb\n\u202ec") == "a\\x1b[2Jb\\n\\u202ec"
    assert printable("x" * 300) == "x" * 200 + "…"
    hostile = Collection(users.TABLE, gaps=[Gap("/\x1b[31m", "malformed")], coverage="partial")
    assert "\x1b" not in "".join(gap_lines([hostile]))


def test_progress_is_drawn_on_a_terminal_and_cleared_before_the_summary(image: Path, tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "agent", "inventory", "--root", image, "--table", "users", *apart(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "TERM": "xterm"},
    )
    out, _ = done.communicate(timeout=60)
    os.close(follower)
    drawn = os.read(leader, 65536).decode()
    os.close(leader)
    assert "reading users" in drawn
    assert drawn.endswith("\r\x1b[K")
    assert b"reading users" not in out


def test_a_terminal_that_goes_away_ends_the_progress_and_nothing_else() -> None:
    leader, follower = pty.openpty()
    with open(follower, "w") as terminal:
        progress = Progress(terminal)
        progress("users", 1)
        os.close(leader)
        progress("groups", 1)
        progress.clear()


def test_help_names_every_command_and_each_explains_itself(evidenced: Evidenced) -> None:
    ran = evidenced("--help")
    assert ran.code == 0
    for name, text in COMMANDS.items():
        assert f"{name} " in ran.out
        assert text in ran.out
        assert evidenced(name, "--help").code == 0


def test_the_table_that_may_have_been_meant_is_named_where_it_was_typed(evidenced: Evidenced) -> None:
    ran = evidenced("tables", "userz")
    assert ran.code == 2
    assert ran.err == "evidenced tables: NAME: expected the name of a table, found 'userz'; did you mean users\n"


def test_counts_agree_with_their_nouns() -> None:
    assert [counted(number, "entry") for number in (0, 1, 2)] == ["0 entries", "1 entry", "2 entries"]
    assert counted(2, "key") == "2 keys"
    assert [counted(number, "row") for number in (0, 1, 1000)] == ["0 rows", "1 row", "1,000 rows"]


@pytest.mark.parametrize("arguments", [(), ("bogus",), ("--bogus",)])
def test_no_command_or_an_unknown_one_is_wrong_use(evidenced: Evidenced, arguments: tuple[str, ...]) -> None:
    ran = evidenced(*arguments)
    assert ran.code == 2
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("statsu",), "evidenced: COMMAND: expected one of inventory, run, status, tables, "),
        (("statsu",), ", found 'statsu'; did you mean status; see: evidenced --help\n"),
        (("--json", "status"), "evidenced: expected what its help names, found --json; see: evidenced"),
        (("keys",), "evidenced keys: expected action, found none; see: evidenced keys --help\n"),
        (("keys", "rotat"), "evidenced keys: action: expected one of show, rotate, found 'rotat'; did you mean"),
        (("log", "--last", "x"), "evidenced log: --last: expected how many entries, found 'x'; see: evidenced log"),
        (("config", "check", "a", "--x"), "evidenced config: expected what its help names, found --x;"),
        (("config", "check", "--json=x"), "evidenced config check: --json: expected no value, found 'x'; see: evi"),
        (("_sign", "--listen-fd", "x"), "evidenced _sign: --listen-fd: expected a whole number, found 'x'; see: evi"),
        (("import",), "evidenced import: expected DIR, found none; see: evidenced import --help\n"),
        (("status", "--\x1b[31m", "x" * 100_000), "found --\\x1b[31m xxx"),
    ],
)
def test_what_is_wrong_with_options_is_one_line(evidenced: Evidenced, arguments: tuple[str, ...], said: str) -> None:
    ran = evidenced(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert len(ran.err) < 1000
