"""The disk refuses while a batch is made durable: nothing is acknowledged or half there; the next try is whole."""

from __future__ import annotations

import errno
import io
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub import commit, registry
from hub.folder import HubFolder, serving
from hub.limits import Limits
from hub.problem import Problem
from hub.service import Hub
from hub.signing import signers
from hub.tokens import TokenCheck
from hub.uploads import Announced
from tests.hub.agents import Agent, BatchFile


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[HubFolder]:
    with serving(str(tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
def hub(folder: HubFolder) -> Iterator[Hub]:
    made = Hub(folder, signers(folder.keys, "hub.example"), TokenCheck(folder.database), Limits(reserve=0))
    yield made
    made.close()


@pytest.fixture
def agent(folder: HubFolder) -> Agent:
    found = Agent(1)
    found.append(3, rows=1)
    with folder.database.transaction() as connection:
        host = registry.add_host(connection, found.name, 1)
        registry.add_key(connection, found.key.public, host, "enrolled", 1)
    return found


def announced(batch: BatchFile) -> Announced:
    log_id, first, size = batch.name.rsplit("-", 2)
    note = batch.note.decode()
    return Announced(
        log_id=log_id, first=int(first), size=int(size), digest=batch.digest, length=len(batch.data), note=note
    )


def take(hub: Hub, batch: BatchFile) -> bytes:
    return hub.verify(announced(batch), io.BytesIO(batch.data)).result(30)


def refusing(monkeypatch: pytest.MonkeyPatch, name: str) -> Callable[[], None]:
    """Make a system call refuse from now on, and return what undoes it."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, name, refuse)
    return monkeypatch.undo


@pytest.mark.parametrize("name", ["fsync", "rename"])
def test_a_disk_that_refuses_blobs(
    hub: Hub, folder: HubFolder, agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    batch = agent.batch(tmp_path)
    undo = refusing(monkeypatch, name)
    with pytest.raises(Problem) as refused:
        take(hub, batch)
    undo()
    assert (refused.value.status, refused.value.kind) == (507, "storage")
    assert folder.database.all("SELECT * FROM receipts") == []
    assert folder.database.all("SELECT * FROM pieces") == []
    assert not [each for each in (tmp_path / "data" / "blobs").iterdir() if each.name.startswith(".")]
    assert b"hub.example" in take(hub, batch)
    for digest in agent.blobs():
        assert (tmp_path / "data" / "blobs" / digest[:2] / digest).exists()


def test_a_database_that_refuses(
    hub: Hub, folder: HubFolder, agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    batch = agent.batch(tmp_path)
    monkeypatch.setattr(commit, "_keep_missing", full)  # the last step but one of the transaction
    with pytest.raises(Problem) as refused:
        take(hub, batch)
    monkeypatch.undo()
    assert refused.value.status == 507
    assert folder.database.all("SELECT * FROM pieces") == []
    assert folder.database.all("SELECT * FROM logs") == []
    assert b"hub.example" in take(hub, batch)


def test_a_defect_costs_one_batch_and_not_the_committer(
    hub: Hub, agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(commit, "_keep_key", broken)
    batch = agent.batch(tmp_path)
    with pytest.raises(ZeroDivisionError):
        take(hub, batch)
    monkeypatch.undo()
    assert b"hub.example" in take(hub, batch)


def test_a_batch_that_nobody_waits_for_any_more_is_committed_and_costs_no_other(
    hub: Hub, agent: Agent, tmp_path: Path
) -> None:
    batch = agent.batch(tmp_path)
    left = hub.verify(announced(batch), io.BytesIO(batch.data))
    assert not left.cancel()
    assert b"hub.example" in left.result(30)
    assert take(hub, batch) == left.result(30)
