"""rpm databases as files that someone else wrote: damaged, locked, half-written, hostile."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from collectors.contract import Gap
from collectors.reading import rpm_database, rpm_sqlite
from collectors.reading.host import Host
from collectors.software import rpm
from collectors.software.package import Package
from collectors.software.purl import distribution
from tests.collectors.reading.rpm_blobs import PACKAGES, STRING, Values, database, header_blob
from tests.collectors.software.conftest import Plant

ROCKY = distribution({"ID": "rocky", "VERSION_ID": "9.4"})
PATH = "/var/lib/rpm/rpmdb.sqlite"


def blob(name: str) -> bytes:
    said: dict[int, Values] = {
        rpm.NAME: (STRING, [name]),
        rpm.VERSION: (STRING, ["1"]),
        rpm.RELEASE: (STRING, ["1"]),
    }
    return header_blob(said)


def read(host: Host, path: str = PATH) -> tuple[list[str], list[Gap]]:
    found = list(rpm.packages(host, path, ROCKY))
    names = [each.name for each in found if isinstance(each, Package)]
    return names, [each for each in found if isinstance(each, Gap)]


def only_gap(host: Host, path: str = PATH) -> Gap:
    names, gaps = read(host, path)
    assert names == []
    (gap,) = gaps
    return gap


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / PATH.lstrip("/")


def test_packages_come_in_the_order_of_installation(host: Host, path: Path) -> None:
    database(path, [blob("b"), blob("a"), blob("c")])
    assert rpm.databases(host) == [PATH]
    assert read(host) == (["b", "a", "c"], [])


def test_reading_leaves_no_trace_beside_the_database(host: Host, path: Path) -> None:
    database(path, [blob("a")])
    before = sorted(path.parent.iterdir()), path.stat().st_mtime_ns
    read(host)
    assert (sorted(path.parent.iterdir()), path.stat().st_mtime_ns) == before


def test_a_damaged_header_is_a_gap_and_the_others_are_rows(host: Host, path: Path) -> None:
    database(path, [blob("a"), b"\0" * 20, blob("c")])
    names, (gap,) = read(host)
    assert names == ["a", "c"]
    assert (gap.source, gap.reason) == (PATH, "malformed")
    assert gap.detail.startswith("header 2: expected 1 to 65535 entries")


def test_a_header_larger_than_the_limit_is_never_loaded(
    host: Host, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpm_database, "MOST_BYTES", 1000)
    database(path, [blob("a"), b"\0" * 1001, blob("c")])
    names, (gap,) = read(host)
    assert names == ["a", "c"]
    assert (gap.reason, gap.detail) == ("truncated", "header 2: expected at most 1000 bytes, found 1001")


def test_what_stands_only_in_the_write_ahead_log_is_read(host: Host, path: Path, tmp_path: Path) -> None:
    live = database(tmp_path / "live" / "rpmdb.sqlite", [blob("a")])
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(live)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("INSERT INTO Packages (blob) VALUES (?)", [blob("b")])
        writer.commit()
        for suffix in ("", "-wal"):  # and no -shm, as in an image or after a crash
            shutil.copy(f"{live}{suffix}", f"{path}{suffix}")
    assert read(host) == (["a", "b"], [])
    Path(f"{path}-wal").write_bytes(Path(f"{path}-wal").read_bytes()[:-100])
    assert read(host) == (["a"], []), "a torn transaction never happened"


def test_a_transaction_that_must_be_rolled_back_is_not_read(host: Host, path: Path, tmp_path: Path) -> None:
    live = database(tmp_path / "live" / "rpmdb.sqlite", [blob("a")])
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(live, isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_size=1")
        writer.execute("BEGIN")
        for _ in range(200):
            writer.execute("INSERT INTO Packages (blob) VALUES (?)", [blob("b" * 900)])
        for suffix in ("", "-journal"):
            shutil.copy(f"{live}{suffix}", f"{path}{suffix}")
        writer.execute("ROLLBACK")
    assert read(host) == (["a"], [])


def test_a_database_that_another_holds_locked_is_read(host: Host, path: Path) -> None:
    database(path, [blob("a")])
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert read(host) == (["a"], [])


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE VIEW Packages AS SELECT 1 AS hnum, randomblob(1000000000) AS blob",
        "CREATE TABLE x (blob); CREATE VIEW Packages AS SELECT rowid AS hnum, blob FROM x",
        "CREATE VIRTUAL TABLE Packages USING fts5(hnum, blob)",
        "CREATE TABLE Packages (hnum, blob AS (zeroblob(1000000000)))",
        "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY)",
        "CREATE TABLE Others (hnum INTEGER PRIMARY KEY, blob)",
        "CREATE INDEX Packages ON t (x); ",
    ],
)
def test_a_schema_that_is_not_rpms_is_refused(host: Host, path: Path, schema: str) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.executescript(schema)
        if "blob AS" in schema:
            connection.execute("INSERT INTO Packages (hnum) VALUES (1)")
            connection.commit()
    assert only_gap(host).reason == "malformed"


def test_triggers_and_other_tables_never_run(host: Host, path: Path) -> None:
    trigger = "CREATE TRIGGER Packages_a AFTER INSERT ON Packages BEGIN SELECT 1; END;"
    database(path, [blob("a")], schema=f"{PACKAGES}; {trigger} CREATE TABLE Name (key, hnum);")
    assert read(host) == (["a"], [])


@pytest.mark.parametrize("value", ["'text'", "NULL", "1.5"])
def test_a_record_of_another_type_is_a_gap(host: Host, path: Path, value: str) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE Packages (hnum, blob)")
        connection.execute(f"INSERT INTO Packages VALUES ({value}, x'00')")  # noqa: S608  the values above
        connection.commit()
    assert only_gap(host).detail == "expected a number and a header in each record, found others"


def test_a_view_without_end_is_stopped(host: Host, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpm_sqlite, "MOST_STEPS", 1000)
    monkeypatch.setattr(rpm_sqlite, "STEPS", 100)
    database(path, [blob("a")] * 1000)
    names, (gap,) = read(host)
    assert 0 < len(names) < 1000
    assert gap.reason == "timed_out"


def test_every_truncation_of_a_database_gives_rows_or_a_gap_and_never_fewer_rows_in_silence(
    host: Host, path: Path
) -> None:
    whole = database(path, [blob(f"p{number}") for number in range(100)]).read_bytes()
    for length in range(0, len(whole), 509):
        path.write_bytes(whole[:length])
        names, gaps = read(host)
        assert gaps
        assert len(names) < 100


@pytest.mark.parametrize("page", range(8))
def test_a_page_of_noise_gives_rows_or_gaps(host: Host, path: Path, page: int) -> None:
    whole = bytearray(database(path, [blob(f"p{number}") for number in range(100)]).read_bytes())
    whole[page * 4096 : (page + 1) * 4096] = struct.pack(">I", 0xDEADBEEF) * 1024
    path.write_bytes(whole)
    names, gaps = read(host)
    assert gaps or len(names) == 100


def test_an_error_of_sqlite_is_told_without_its_text(host: Host, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"canary-secret" * 100)
    gap = only_gap(host)
    assert gap.detail == "SQLite cannot read it (DatabaseError)"


@pytest.mark.parametrize(
    ("name", "format_name"), [("Packages", "Berkeley DB format"), ("Packages.db", "rpm's own ndb format")]
)
def test_older_formats_are_gaps_that_name_them(host: Host, plant: Plant, name: str, format_name: str) -> None:
    path = f"/var/lib/rpm/{name}"
    plant(path, b"\0" * 100)
    assert rpm.databases(host) == [path]
    assert only_gap(host, path) == Gap(
        path, "unknown_format", f"an rpm database in {format_name}, which is not read yet"
    )


def test_one_database_under_two_paths_is_one(host: Host, path: Path, tmp_path: Path) -> None:
    database(path, [blob("a")])
    (tmp_path / "usr/lib/sysimage").mkdir(parents=True)
    (tmp_path / "usr/lib/sysimage/rpm").symlink_to("../../../var/lib/rpm")
    assert rpm.databases(host) == ["/usr/lib/sysimage/rpm/rpmdb.sqlite"]


def test_a_folder_that_cannot_be_looked_into_does_not_hide_the_next(host: Host, path: Path, plant: Plant) -> None:
    database(path, [blob("a")])
    plant("/usr/lib/sysimage", "a file where a folder should be")
    assert PATH in rpm.databases(host)
    assert read(host) == (["a"], [])
