"""A collection that hangs, crashes, lies or eats memory costs its own table only, and says so."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import pytest

from agent.collection import child
from agent.collection.limits import MIB, Limits
from agent.collection.parent import collect
from agent.collection.receiver import Collection
from collectors.contract import CollectionError, Gap, Row, Table, UnsupportedError, means
from collectors.reading.host import Host
from collectors.reading.sweep import Interest, prepare

Run = Callable[..., list[Collection]]
CANARY = "canary-7f3a"


class Fact(Row):
    """One fact of a test."""

    name: Annotated[str, means("its name")]
    size: Annotated[int, means("its size", unit="bytes")] = 0
    when: Annotated[str | None, means("its time", time=True)] = None


def table(name: str, act: Callable[[Host], Iterable[Row | Gap]]) -> Table:
    return Table(name, Fact, key=("name",), reads=(), collect=act)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def collect_all(*tables: Table, limits: Limits | None = None) -> list[Collection]:
        def plan(each: Sequence[Table]) -> list[tuple[Sequence[Table], Limits]]:
            return [((one,), limits or Limits(wall_s=20)) for one in each]

        return collect(tables, lambda: Host(str(tmp_path), secret=b"test"), plan=plan)

    return collect_all


def good(_host: Host) -> Iterator[Row | Gap]:
    yield Fact(name="b")
    yield Fact(name="a")


def test_rows_come_sorted_by_their_bytes_and_complete(run: Run) -> None:
    (only,) = run(table("facts", good))
    assert only.coverage == "complete"
    assert only.failure is None
    assert only.rows == [b'{"name":"a","size":0,"when":null}', b'{"name":"b","size":0,"when":null}']
    assert only.cost.peak_kib > 0


def test_a_gap_makes_a_table_partial_and_is_counted_by_its_reason(run: Run) -> None:
    def act(_host: Host) -> Iterator[Row | Gap]:
        yield Fact(name="a")
        yield Gap("/x", "permission_denied", count=3)

    (only,) = run(table("facts", act))
    assert only.coverage == "partial"
    assert only.reasons == {"permission_denied": 3}
    assert len(only.rows) == 1


def test_a_crash_fails_its_own_table_drops_its_rows_and_hides_the_message(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    def act(_host: Host) -> Iterator[Row | Gap]:
        yield Fact(name="a")
        raise ValueError(CANARY)

    broken, sound = run(table("broken", act), table("sound", good))
    assert (broken.coverage, broken.rows, broken.failure) == ("failed", [], "defect in the collector: ValueError")
    assert sound.coverage == "complete"
    told = capfd.readouterr()
    assert "defect in table broken" in told.err
    assert CANARY not in told.err + told.out


@pytest.mark.parametrize(
    ("error", "coverage"), [(UnsupportedError("no such thing"), "unsupported"), (CollectionError("empty"), "failed")]
)
def test_a_collector_says_itself_that_it_does_not_apply_or_cannot_be(run: Run, error: Exception, coverage: str) -> None:
    def act(_host: Host) -> Iterator[Row | Gap]:
        yield from ()
        raise error

    (only,) = run(table("facts", act))
    assert only.coverage == coverage
    assert only.failure == str(error)
    assert [gap.reason for gap in only.gaps] == [coverage]


def test_the_tables_of_the_one_sweep_share_the_time_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(host: Host, interests: Sequence[Interest]) -> None:
        time.sleep(0.9)
        prepare(host, interests)

    def own(seconds: float) -> Callable[[Host], Iterator[Row | Gap]]:
        def act(_host: Host) -> Iterator[Row | Gap]:
            time.sleep(seconds)
            yield Fact(name="a")

        return act

    monkeypatch.setattr(child, "prepare", slow)
    tables = [
        Table(name, Fact, key=("name",), reads=(), collect=own(seconds), sweep=Interest(name))
        for name, seconds in (("one", 0), ("two", 0.3), ("three", 0))
    ]
    costs = [each.cost.wall_ms for each in collect(tables, lambda: Host(str(tmp_path), secret=b"test"))]
    assert 300 <= costs[0] < 900
    assert costs[1] >= 600
    assert costs[2] >= 300
    assert sum(costs) >= 1200


def test_an_unreadable_source_fails_the_table_without_its_path_in_the_reason(run: Run) -> None:
    def act(host: Host) -> Iterator[Row | Gap]:
        host.read("/secret-name")
        yield Fact(name="a")

    (only,) = run(table("facts", act))
    assert only.failure == "its source could not be read: absent"
    assert Gap("/secret-name", "absent") in [Gap(gap.source, gap.reason) for gap in only.gaps]


def test_a_collector_that_hangs_is_ended_at_its_deadline(run: Run) -> None:
    def act(_host: Host) -> Iterator[Row | Gap]:
        yield Fact(name="a")
        time.sleep(3600)

    begun = time.monotonic()
    (only,) = run(table("facts", act), limits=Limits(wall_s=0.3))
    assert time.monotonic() - begun < 10
    assert only.failure == "timed out after 0.3 s"
    assert only.rows == []


def test_a_worker_that_a_collector_leaves_behind_is_ended_with_it(run: Run, tmp_path: Path) -> None:
    def act(_host: Host) -> Iterator[Row | Gap]:
        worker = os.fork()
        if worker == 0:
            os.closerange(3, 100)  # a worker that holds none of our pipes
            time.sleep(3600)
            os._exit(0)
        (tmp_path / "pid").write_text(str(worker))
        yield Fact(name="a")

    (only,) = run(table("facts", act))
    assert only.coverage == "complete"
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the worker still runs")


def test_a_collector_that_eats_memory_fails_and_the_next_table_is_read(run: Run) -> None:
    def act(_host: Host) -> Iterator[Row | Gap]:
        held = [bytes(MIB) for _ in range(4096)]
        yield Fact(name=str(len(held)))

    hungry, sound = run(table("hungry", act), table("sound", good), limits=Limits(data_bytes=256 * MIB))
    assert hungry.failure == "needed more than 256 MiB of memory"
    assert sound.coverage == "complete"


def test_a_collector_that_spins_is_stopped_by_its_cpu_limit(run: Run) -> None:
    def act(_host: Host) -> Iterator[Row | Gap]:
        yield from ()
        while True:
            pass

    (only,) = run(table("facts", act), limits=Limits(cpu_s=1, wall_s=20))
    assert only.failure in {
        "killed by SIGXCPU: it used up its CPU time",
        "killed by SIGKILL: out of CPU time or memory, or an operator",
    }


def test_a_killed_child_fails_its_table(run: Run) -> None:
    def act(_host: Host) -> Iterator[Row | Gap]:
        yield Fact(name="a")
        os.kill(os.getpid(), signal.SIGKILL)

    (only,) = run(table("facts", act))
    assert only.failure == "killed by SIGKILL: out of CPU time or memory, or an operator"


def test_more_rows_than_the_limit_are_dropped_with_their_count(run: Run) -> None:
    def act(_host: Host) -> Iterator[Row | Gap]:
        yield from (Fact(name=str(number)) for number in range(25))

    (only,) = run(table("facts", act), limits=Limits(rows=10))
    assert len(only.rows) == 10
    assert only.reasons == {"truncated": 15}
    assert only.coverage == "partial"


def test_one_row_that_is_too_large_is_dropped_with_its_count(run: Run) -> None:
    def act(_host: Host) -> Iterator[Row | Gap]:
        yield Fact(name="a" * 5000)
        yield Fact(name="b")

    (only,) = run(table("facts", act), limits=Limits(row_bytes=4096))
    assert len(only.rows) == 1
    assert only.reasons == {"truncated": 1}


def test_one_gap_that_is_too_large_keeps_its_reason_and_count(run: Run) -> None:
    def act(_host: Host) -> Iterator[Row | Gap]:
        yield Gap("/" + "a" * 5000, "malformed", count=3)

    (only,) = run(table("facts", act), limits=Limits(row_bytes=4096))
    assert [(gap.source, gap.reason, gap.count) for gap in only.gaps] == [("facts", "malformed", 3)]


def test_copies_of_a_killed_child_are_removed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "database").write_bytes(b"x")
    os.utime(tmp_path / "database", (1, 1))
    time.sleep(0.1)

    def act(host: Host) -> Iterator[Row | Gap]:
        with host.copied("/database") as path:
            assert Path(path).exists()
            yield Gap(path, "unknown_format")
            os.kill(os.getpid(), signal.SIGKILL)

    def slow(_host: Host) -> Iterator[Row | Gap]:
        yield from ()
        time.sleep(3600)

    killed, stopped = run(table("killed", act), table("stopped", slow), limits=Limits(wall_s=0.5))
    assert (killed.coverage, stopped.coverage) == ("failed", "failed")
    assert stopped.cost.wall_ms >= 500
    assert os.listdir(tmp_path) == ["database"]


def test_without_room_for_copies_only_a_table_that_needs_one_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/version")

    def act(host: Host) -> Iterator[Row | Gap]:
        with host.copied("/database"):
            yield Fact(name="a")

    copying, sound = run(table("copying", act), table("sound", good))
    assert copying.failure == "its source could not be read: io_error"
    assert sound.coverage == "complete"


def test_a_host_that_cannot_be_opened_in_the_child_is_a_failed_table(capfd: pytest.CaptureFixture[str]) -> None:
    def vanish() -> Host:
        raise FileNotFoundError(CANARY)

    (only,) = collect([table("facts", good)], vanish)
    assert only.failure == "its process ended before its work was done"
    told = capfd.readouterr().err
    assert "defect in table facts" in told
    assert CANARY not in told


def test_a_flood_of_gaps_is_folded_by_reason(run: Run) -> None:
    def act(_host: Host) -> Iterator[Row | Gap]:
        yield from (Gap(f"/{number}", "malformed") for number in range(50))

    (only,) = run(table("facts", act), limits=Limits(gaps=10))
    assert len(only.gaps) == 11
    assert only.reasons == {"malformed": 50}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([Fact(name="a"), Fact(name="a", size=1)], "a new key name"),
        ([Fact(name="a", size=2**53)], "an integer within 2^53"),
        ([Fact(name="a", when="yesterday")], "a time as RFC 3339"),
        ([Fact(name=7)], "Expected `str`, got `int`"),  # type: ignore[arg-type]  # the defect under test
    ],
)
def test_a_row_that_breaks_its_header_fails_the_table(run: Run, rows: list[Fact], expected: str) -> None:
    (only,) = run(table("facts", lambda _host: iter(rows)))
    assert only.coverage == "failed"
    assert only.failure is not None
    assert expected in only.failure
    assert only.rows == []


def test_a_child_that_sends_no_frames_fails_all_its_tables(run: Run) -> None:
    others = set(os.listdir("/proc/self/fd"))

    def act(_host: Host) -> Iterator[Row | Gap]:
        for each in set(os.listdir("/proc/self/fd")) - others:
            with contextlib.suppress(OSError):
                if stat.S_ISFIFO(os.fstat(int(each)).st_mode):
                    os.write(int(each), b"\xff" * 64)
        yield Fact(name="a")

    (only,) = run(table("facts", act))
    assert only.coverage == "failed"
    assert only.failure is not None
    assert only.failure.startswith("defect in the collector: expected a frame")


def test_the_child_may_not_raise_its_privileges_or_dump_core(run: Run) -> None:
    def act(_host: Host) -> Iterator[Row | Gap]:
        for line in Path("/proc/self/status").read_text().split("\n"):
            if line.startswith("NoNewPrivs"):
                yield Fact(name=line.replace("\t", " "))
        for line in Path("/proc/self/limits").read_text().split("\n"):
            if line.startswith("Max core"):
                yield Fact(name=" ".join(line.split()))
        yield Fact(name="oom " + Path("/proc/self/oom_score_adj").read_text().strip())

    (only,) = run(table("facts", act))
    text = b"\n".join(only.rows).decode()
    assert "NoNewPrivs: 1" in text
    assert "Max core file size 0 0" in text
    assert "oom 1000" in text
