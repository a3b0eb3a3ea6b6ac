"""`evidenced run` as a user starts it: real parts, a real log, and a change that is signed within seconds."""

from __future__ import annotations

import argparse
import grp
import os
import pwd
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.commands.run import _make_folders, _words
from agent.configuration.files import configuration_file
from agent.places import Places, places
from evidence.predicates import Snapshot
from evidence.reader import StoreReader
from tests.agent.command_line import Evidenced, apart
from tests.agent.daemon.conftest import PLAN, until

WAIT_S = 40.0


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    (tmp_path / "watched").mkdir()
    return tmp_path / "watched"


@pytest.fixture
def service(state: Path, watched: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the service over two small tables, one of which is watched."""
    plan = PLAN.format(digest="0a" * 32, heartbeat=3600, upload=0).replace("80\t20\t60", "0\t0\t0")
    tables = f"table\tusers\t3600\t1\tfile\ntable\tos_support\t3600\t1\tfile\nwatch\t{watched}/\tusers\n"
    (tmp_path / "plan").write_text(plan + tables)
    words = [sys.executable, "-m", "agent", "run", "--state", str(state), "--plan", str(tmp_path / "plan")]
    words += apart(tmp_path)[:2]
    with (tmp_path / "stderr").open("wb") as errors, subprocess.Popen(words, stderr=errors) as process:
        yield process
        process.kill()


def said(state: Path) -> list[str]:
    """Return what each entry of the log is: the kind of an event, or the reason and tables of a snapshot."""
    if not (state / "logs").exists():
        return []
    with StoreReader(str(state)) as reader:
        log = reader.logs()[-1:]
        statements = [each.statement for one in log for each in reader.entries(one.id)]
    return [
        f"{each.predicate.run.reason} {' '.join(table.name for table in each.predicate.tables)}"
        if isinstance(each, Snapshot)
        else str(getattr(each, "kind", ""))
        for each in statements
    ]


@pytest.mark.slow
def test_a_host_is_read_a_change_is_signed_and_the_end_is_on_record(
    service: subprocess.Popen[bytes], state: Path, watched: Path, tmp_path: Path, evidenced: Evidenced
) -> None:
    until(lambda: len(said(state)) >= 3, WAIT_S)
    assert said(state) == ["log-opened", "agent-started", "scheduled os_support users"]
    (watched / "sudoers").write_text("x")
    began = time.monotonic()
    until(lambda: len(said(state)) >= 4, WAIT_S)
    took = time.monotonic() - began
    assert said(state)[-1] == "change users"
    assert took < 15, "5 s on a machine that does nothing else"
    told = evidenced("status", "--state", state)
    assert told.code == 0, told.out
    assert re.search(r"running   process \d+ for \d+ s", told.out)
    began = time.monotonic()
    service.send_signal(signal.SIGTERM)
    assert service.wait(WAIT_S) == 0
    assert time.monotonic() - began < 10
    assert said(state)[-1] == "agent-stopped"
    assert evidenced("status", "--state", state).code == 3
    assert sorted(os.listdir(state / "run")) == ["lock"]
    assert "Traceback" not in (tmp_path / "stderr").read_text()


def test_a_configuration_with_problems_is_all_told_and_nothing_is_started(
    state: Path, tmp_path: Path, evidenced: Evidenced
) -> None:
    (tmp_path / "agent.toml").write_text('[schedule]\nheartbeet = "1h"\n[tables.user]\ninterval = "1h"\n')
    (tmp_path / "agent.toml").chmod(0o600)
    told = evidenced("run", "--state", state, "--config", tmp_path / "agent.toml")
    assert told.code == 2
    assert "heartbeat" in told.err
    assert "users" in told.err
    assert not state.exists()


@pytest.mark.needs_root
def test_root_makes_folders_in_which_each_part_can_do_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = pwd.getpwnam("nobody")
    uploader = next(each for each in grp.getgrall() if each.gr_gid not in {0, own.pw_gid})
    monkeypatch.setattr("agent.commands.run.pwd.getpwnam", lambda _name: own)
    monkeypatch.setattr("agent.users.group_id", {"evidenced-upload": uploader.gr_gid}.get)
    where = Places(*(str(tmp_path / "var" / name) for name in ("state", "outbox", "upload", "cache", "run")))
    _make_folders(where, separate=True)
    for path, group, mode in (
        (where.state, own.pw_gid, 0o700),
        (where.outbox, uploader.gr_gid, 0o2750),
        (where.upload, uploader.gr_gid, 0o700),
    ):
        facts = os.stat(path)
        assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (own.pw_uid, group, mode)


@pytest.mark.parametrize("separate", [True, False])
def test_parts_of_other_users_are_told_where_the_configuration_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, separate: bool
) -> None:
    own = pwd.getpwnam("nobody")
    monkeypatch.setattr("agent.commands.run.pwd.getpwnam", lambda _name: own)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    options = argparse.Namespace(config=None, plan=None)
    words = list(_words(places(str(tmp_path)), options, separate=separate))
    assert (configuration_file() in words) == separate


def test_the_uploader_may_tell_the_signer_what_was_delivered_and_the_signer_has_no_group_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = pwd.getpwnam("nobody")
    monkeypatch.setattr("agent.commands.run.pwd.getpwnam", lambda _name: own)
    monkeypatch.setattr("agent.users.group_id", {"evidenced-record": 65531}.get)
    words = list(_words(places(str(tmp_path)), argparse.Namespace(config=None, plan=None), separate=True))
    groups = {each.partition("=")[0]: each.split(":")[-1].split(",") for each in words if each.count(":") == 2}
    assert ("65531" in groups["upload"], "65531" in groups["sign"]) == (True, False)
    assert words[words.index("--record-gid") + 1] == "65531"
