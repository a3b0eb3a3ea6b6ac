"""Statements: the documented bytes, and collections that contradict themselves."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import restricted_json, statement
from evidence.errors import EvidenceError, FormatError, LimitError
from evidence.predicates import MAX_PAYLOAD
from evidence.statement import Event, Receipt, Snapshot
from tests.evidence.known import AGENT
from tests.evidence.statements import GAP, ROWS, USERS_HEADER, context, observation, users

PAYLOAD = statement.snapshot([users()], context())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_snapshot_is_the_documented_text() -> None:
    assert json.loads(PAYLOAD) == {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "urn:evidenced:snapshot:v1",
        "subject": [
            {"digest": {"sha256": sha256(ROWS)}, "name": "users"},
            {"digest": {"sha256": sha256(b"")}, "name": "users.gaps"},
        ],
        "predicate": {
            "agent": {"version": "0.1.0"},
            "clock": {
                "boot_id": "5b1f0c1e-9a0b-4c52-a7ab-8a1d3c0f4c11",
                "boottime_ms": 86_400_000,
                "synchronised": True,
                "wall": "2026-01-31T07:00:00.123Z",
            },
            "host": {
                "labels": {"env": "production"},
                "machine": "ab" * 32,
                "name": "web-1.example.org",
                "observed": "live",
            },
            "log": {"origin": "evidenced/0123456789abcdef/1", "sequence": 0},
            "receipt": None,
            "run": {"privileged": True, "reason": "scheduled"},
            "tables": [
                {
                    "cost": {"bytes": 1200, "cpu_ms": 2, "files": 1, "peak_kib": 9000, "wall_ms": 3},
                    "coverage": "complete",
                    "failure": None,
                    "gaps": 0,
                    "header": sha256(USERS_HEADER),
                    "interval_s": 3600,
                    "name": "users",
                    "reasons": {},
                    "rows": 2,
                    "version": 1,
                }
            ],
        },
    }
    assert restricted_json.encode(json.loads(PAYLOAD)) == PAYLOAD


def test_what_is_built_is_read_back() -> None:
    seen = statement.parse(PAYLOAD)
    assert isinstance(seen, Snapshot)
    assert seen.subjects() == {"users": sha256(ROWS), "users.gaps": sha256(b"")}
    assert seen.digests() == {sha256(ROWS), sha256(b""), sha256(USERS_HEADER)}
    assert seen.predicate.tables[0].rows == 2


def test_a_receipt_is_named_when_there_is_one() -> None:
    receipt = Receipt(name="hub.example/w1", size=7, time="2026-01-30T00:00:00Z")
    seen = statement.parse(statement.snapshot([users()], context(receipt=receipt)))
    assert seen.predicate.receipt == receipt


def test_an_event_is_the_documented_text() -> None:
    details = statement.event_details({"digests": ["00" * 32]})
    payload = statement.event("pruned", {"before": "2025-01-01T00:00:00Z", "blobs": 1}, details, context())
    seen = statement.parse(payload)
    assert isinstance(seen, Event)
    assert seen.kind == "pruned"
    assert seen.digests() == {sha256(details)}
    assert json.loads(payload)["subject"] == [{"digest": {"sha256": sha256(details)}, "name": "event"}]
    assert json.loads(payload)["predicate"]["event"] == {
        "absence": None,
        "before": "2025-01-01T00:00:00Z",
        "blobs": 1,
        "kind": "pruned",
    }


def test_an_absence_says_from_when_until_when_and_why() -> None:
    absence = {"from": "2026-01-01T00:00:00Z", "reason": "host-off", "until": "2026-01-02T00:00:00Z"}
    payload = statement.event("damage", {"part": "blob", "count": 1}, b"{}\n", context(), absence)
    assert json.loads(payload)["predicate"]["event"]["absence"] == absence


def test_a_rotation_names_the_new_key_by_its_bytes() -> None:
    fields = statement.key_rotated(AGENT.public, 2)
    assert fields == {
        "key": "MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
        "keyid": AGENT.public.fingerprint,
        "number": 2,
    }


@pytest.mark.parametrize(
    ("coverage", "names"),
    [
        ("partial", {"users", "users.gaps"}),
        ("failed", {"users.gaps"}),
        ("unsupported", {"users.gaps"}),
        ("disabled", set()),
    ],
)
def test_coverage_decides_which_blobs_there_are(coverage: str, names: set[str]) -> None:
    changes: dict[str, Any] = {"coverage": coverage, "gaps": GAP, "gap_count": 1, "reasons": {"malformed": 1}}
    if coverage != "partial":
        changes |= {"rows": b"", "row_count": 0}
    if coverage == "failed":
        changes |= {"failure": "ran out of memory"}
    if coverage == "disabled":
        changes |= {"header": None, "gaps": b"", "gap_count": 0, "reasons": {}}
    table = users(**changes)
    assert table.blobs().keys() == names
    other = users(name="groups")
    assert statement.parse(statement.snapshot([table, other], context())).subjects().keys() == names | {
        "groups",
        "groups.gaps",
    }


CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "rows that were not counted": {"row_count": 1},
    "rows that are not sorted": {"rows": b'{"b":1}\n{"a":1}\n'},
    "a last row that is cut off": {"rows": ROWS[:-1]},
    "gaps that were not counted": {"gaps": GAP},
    "a gap in a complete table": {"gaps": GAP, "gap_count": 1, "reasons": {"malformed": 1}},
    "gaps without reasons": {"coverage": "partial", "gaps": GAP, "gap_count": 1},
    "reasons of other gaps": {"coverage": "partial", "gaps": GAP, "gap_count": 1, "reasons": {"absent": 1}},
    "reasons that are not summed": {"coverage": "partial", "gaps": GAP, "gap_count": 1, "reasons": {"malformed": 2}},
    "a gap that is none": {"coverage": "partial", "gaps": b"{}\n", "gap_count": 1, "reasons": {}},
    "a partial table without a gap": {"coverage": "partial"},
    "a failed table with rows": {"coverage": "failed", "failure": "killed"},
    "a failed table without failure": {"coverage": "failed", "rows": b"", "row_count": 0},
    "a failure in a complete table": {"failure": "killed"},
    "no header": {"header": None},
    "a header for a disabled table": {"coverage": "disabled", "rows": b"", "row_count": 0},
    "a name that is a path": {"name": "/etc/passwd"},
    "a name with a dot": {"name": "users.gaps"},
    "a coverage of its own": {"coverage": "fine"},
    "a negative count": {"interval_s": -1},
    "a fraction": {"interval_s": 1.5},
}


@pytest.mark.parametrize("changes", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_collection_that_contradicts_itself_is_never_signed(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        statement.snapshot([users(**changes)], context())


def test_one_table_twice_is_refused() -> None:
    with pytest.raises(FormatError, match="each table once"):
        statement.snapshot([users(), users()], context())


def test_a_snapshot_of_nothing_is_refused() -> None:
    with pytest.raises(FormatError, match="1 to 1000 subjects"):
        statement.snapshot([], context())


def test_a_payload_that_would_not_fit_is_refused() -> None:
    tables = [users(name=f"table_{each}") for each in range(150)]
    with pytest.raises(LimitError, match="at most 61440 bytes"):
        statement.snapshot(tables, context())
    with pytest.raises(LimitError, match="at most 1000 subjects"):
        statement.snapshot([users(name=f"table_{each}") for each in range(501)], context())


def test_a_full_catalogue_fits_by_far() -> None:
    tables = [users(name=f"a_rather_long_table_name_{each}") for each in range(60)]
    assert len(statement.snapshot(tables, context())) < MAX_PAYLOAD * 2 // 3


def test_labels_obey_the_same_json() -> None:
    with pytest.raises(FormatError):
        statement.snapshot([users()], context(observation=_labelled({"Env": "x"})))
    with pytest.raises(FormatError):
        statement.snapshot([users()], context(observation=_labelled({"env": "\ud800"})))


def _labelled(labels: dict[str, str]) -> Any:
    return observation(labels=labels)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Statement/v1", b"Statement/v2"),
        (b"snapshot:v1", b"snapshot:v2"),
        (b'"rows":2', b'"rows":"2"'),
        (b'"rows":2', b'"rows":-2'),
        (b'"coverage":"complete"', b'"coverage":"fine"'),
        (b'"name":"users"', b'"name":"a/b"'),
        (b"07:00:00.123Z", b"07:00:00.123"),
        (b"07:00:00.123Z", b"07:00:00Z"),
        (b'"sequence":0', b'"sequence":-1'),
        (b'"name":"users.gaps"', b'"name":"users"'),
        (b'"name":"users.gaps"', b'"name":"a"'),
        (b'"subject":[', b'"subject":[],"x":['),
        (b'"log":', b'"other":'),
    ],
)
def test_a_payload_that_is_not_format_1_is_refused(old: bytes, new: bytes) -> None:
    assert old in PAYLOAD
    with pytest.raises(FormatError):
        statement.parse(PAYLOAD.replace(old, new))


def test_an_error_says_where_and_quotes_no_value() -> None:
    with pytest.raises(FormatError) as caught:
        statement.parse(PAYLOAD.replace(b'"rows":2', b'"rows":"canary"'))
    assert (
        str(caught.value)
        == "statement: expected a statement of format 1, found an invalid value at .predicate.tables[0].rows"
    )


def test_keys_of_a_later_version_are_passed_over() -> None:
    assert statement.parse(PAYLOAD.replace(b'"rows":2', b'"rows":2,"rows_seen":9')) == statement.parse(PAYLOAD)


@given(
    st.binary(max_size=300)
    | st.sampled_from(range(len(PAYLOAD))).map(lambda at: PAYLOAD[:at] + b"0" + PAYLOAD[at + 1 :])
)
def test_any_bytes_are_a_statement_or_our_error(data: bytes) -> None:
    try:
        seen = statement.parse(data)
    except EvidenceError:
        return
    assert statement.parse(restricted_json.encode(seen)) == seen
