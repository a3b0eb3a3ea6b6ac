"""A plan is taken as it is meant, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.configuration.model import Configuration
from agent.daemon.plan import LIMIT, MOST_TABLES, Plan, PlanError, is_watchable, read_plan
from agent.internal.plan import plan as planned
from collectors.catalogue import all_tables

LINES = {
    "config": "config\t" + "0a" * 32,
    "heartbeat": "heartbeat\t3600",
    "jitter": "jitter\t0",
    "pressure": "pressure\t80\t20\t0",
    "pause_limit": "pause_limit\t1800",
    "upload": "upload\t1",
    "users": "table\tusers\t3600\t5\tfile",
    "passwd": "watch\t/etc/passwd\tusers",
}


def text(*more: str, **other: str) -> bytes:
    return (
        "".join(f"{line}\n" for line in ({**LINES, **other}.values()) if line).encode()
        + "".join(f"{line}\n" for line in more).encode()
    )


def test_every_line_is_taken() -> None:
    plan = read_plan(text("table\tsweeps\t21600\t60\tsweep", "watch\t{home}/.ssh/\tusers,sweeps"))
    assert plan.digest == "0a" * 32
    assert (plan.heartbeat_s, plan.jitter_s, plan.pressure, plan.pause_limit_s) == (3600, 0, (80, 20, 0), 1800)
    assert plan.upload
    users = plan.tables["users"]
    assert (users.name, users.interval_s, users.distance_s, users.kind) == ("users", 3600, 5, "file")
    assert plan.tables["sweeps"].kind == "sweep"
    assert plan.watches == {"/etc/passwd": ("users",), "{home}/.ssh/": ("users", "sweeps")}


def test_what_the_configuration_prints_is_taken() -> None:
    tables = all_tables()
    plan = read_plan("".join(f"{line}\n" for line in planned(Configuration(), tables)).encode())
    assert plan.tables.keys() == {each.name for each in tables}
    assert {kind for each in plan.tables.values() for kind in [each.kind]} == {"file", "sweep"}
    assert plan.watches["/etc/shadow"] == ("password_status",)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"config": ""}, "expected a line config, found none"),
        ({"jitter": ""}, "expected a line jitter, found none"),
        ({"config": "config\tcanary"}, "line 1: expected 64 hexadecimal digits"),
        ({"heartbeat": "heartbeat\t0"}, "line 2: expected a number from 1"),
        ({"heartbeat": "heartbeat\t٣"}, "line 2: expected a number"),
        ({"heartbeat": "heartbeat\t-1"}, "line 2: expected a number"),
        ({"heartbeat": "heartbeat\t" + "9" * 5000}, "line 2: expected a number"),
        ({"heartbeat": "heartbeat\t1\t2"}, "line 2: expected 1 words, found 2"),
        ({"pressure": "pressure\t101\t0\t0"}, "line 4: expected a number from 0 to 100"),
        ({"upload": "upload\t2"}, "line 6: expected a number from 0 to 1"),
        ({"users": "table\tUsers\t3600\t5\tfile"}, "line 7: expected the name of a table"),
        ({"users": "table\tusers\t3600\t5\tmagic"}, "line 7: expected one of file, sweep, process"),
        ({"passwd": "watch\tetc/passwd\tusers"}, "line 8: expected a plain absolute path"),
        ({"passwd": "watch\t/etc/../root/\tusers"}, "line 8: expected a plain absolute path"),
        ({"passwd": "watch\t/etc/passwd\tgroups"}, "expected watches of planned tables"),
        ({"passwd": "jitter\t5"}, "line 8: expected jitter once"),
        ({"passwd": "canary\t5"}, "line 8: expected a known word"),
    ],
)
def test_what_is_not_so_is_refused_with_its_line_and_not_quoted(other: dict[str, str], expected: str) -> None:
    with pytest.raises(PlanError) as caught:
        read_plan(text(**other))
    assert expected in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"config\tx", b"\xff\n", b"#" * (LIMIT + 1), text(LINES["users"]), text(LINES["passwd"])]
)
def test_what_is_cut_short_doubled_or_endless_is_refused(data: bytes) -> None:
    with pytest.raises(PlanError):
        read_plan(data)


def test_tables_without_end_are_refused() -> None:
    with pytest.raises(PlanError, match="at most 400 tables"):
        read_plan(text(*(f"table\tt{number}\t60\t1\tfile" for number in range(MOST_TABLES))))


@given(st.binary(max_size=400))
@settings(max_examples=100)
def test_any_bytes_are_a_plan_or_refused(data: bytes) -> None:
    try:
        plan = read_plan(text() + data)
    except PlanError:
        return
    assert isinstance(plan, Plan)
    assert all(is_watchable(path) for path in plan.watches)
