"""The payload of an envelope: in-toto Statements of two kinds, as structs (docs/formats.md, section 3).

The same structs are filled by `evidence.statement` and read back from signed bytes. A reader passes over keys
that a later version may add. Rows and gaps are named by digest only, so that pruning a blob removes every path
and name of a person.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from evidence import restricted_json
from evidence.errors import FormatError

MAX_PAYLOAD = 61_440
MAX_SUBJECTS = 1000
MAX_TEXT = 255
"""Characters of a text that every reader of a pack keeps: a host's name, why there was no agent, an organisation."""
SNAPSHOT = "urn:evidenced:snapshot:v1"
EVENT = "urn:evidenced:event:v1"

Coverage = Literal["complete", "partial", "failed", "unsupported", "disabled"]
Hex = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
TableName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,62}\Z")]
Time = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")]
TimeMs = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one collection took."""

    wall_ms: Count
    cpu_ms: Count
    peak_kib: Count
    files: Count
    bytes: Count


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """The clocks of one moment; `boottime_ms` orders what a jump of the wall clock disorders."""

    wall: TimeMs
    boottime_ms: Count | None
    boot_id: str | None
    synchronised: bool | None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The latest cosignature that was verified before this statement."""

    name: str
    size: Count
    time: Time


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """The program that observed."""

    version: str


class HostPart(msgspec.Struct, frozen=True, kw_only=True):
    """The host as it is called; `machine` is a keyed hash of its machine id."""

    labels: dict[str, str]
    machine: str | None
    name: Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
    observed: Literal["live", "image"]


class LogPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where the statement stands; `sequence` is the index of its leaf."""

    origin: str
    sequence: Count


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Why tables were read, and whether as root."""

    privileged: bool
    reason: Literal["by-hand", "scheduled", "change"]


class TableState(msgspec.Struct, frozen=True, kw_only=True):
    """One collection in a snapshot."""

    cost: Cost
    coverage: Coverage
    failure: str | None
    gaps: Count
    header: Hex | None
    interval_s: Count | None
    name: TableName
    reasons: dict[str, Count]
    rows: Count
    version: Count


class SnapshotPredicate(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot says about its subjects."""

    agent: Agent
    clock: Clock
    host: HostPart
    log: LogPlace
    receipt: Receipt | None
    run: Run
    tables: tuple[TableState, ...]


class EventPredicate(msgspec.Struct, frozen=True, kw_only=True):
    """What happened; further keys of `event` depend on its kind."""

    agent: Agent
    clock: Clock
    event: dict[str, Any]
    host: HostPart
    log: LogPlace
    receipt: Receipt | None


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """A blob's name."""

    sha256: Hex


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A blob and what it is called in this statement."""

    digest: Digest
    name: str


class _Statement(msgspec.Struct, frozen=True, kw_only=True):
    subject: tuple[Subject, ...]
    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(
        name="_type", default="https://in-toto.io/Statement/v1"
    )

    def subjects(self) -> dict[str, str]:
        """Return the digests of the blobs by subject name."""
        return {each.name: each.digest.sha256 for each in self.subject}


class Snapshot(_Statement, frozen=True, kw_only=True, tag_field="predicateType", tag=SNAPSHOT):
    """All collections of one run."""

    predicate: SnapshotPredicate

    def digests(self) -> set[str]:
        """Return every blob this statement names, headers too."""
        headers = {each.header for each in self.predicate.tables if each.header is not None}
        return headers | set(self.subjects().values())


class Event(_Statement, frozen=True, kw_only=True, tag_field="predicateType", tag=EVENT):
    """Something that happened to the agent, its log or its host."""

    predicate: EventPredicate

    @property
    def kind(self) -> str:
        """Return what kind of event it is."""
        return str(self.predicate.event["kind"])

    def digests(self) -> set[str]:
        """Return every blob this statement names."""
        return set(self.subjects().values())


Statement = Snapshot | Event


def parse(payload: bytes, where: str = "statement") -> Statement:
    """Return the statement in a payload whose signature has been checked.

    Raises: FormatError, LimitError.
    """
    value = restricted_json.decode(payload, where=where, limit=MAX_PAYLOAD)
    try:
        result: Statement = msgspec.convert(value, Statement)
    except msgspec.ValidationError as error:
        raise FormatError(where, "a statement of format 1", _reason(error)) from None
    names = [each.name for each in result.subject]
    if not 1 <= len(names) <= MAX_SUBJECTS or names != sorted(set(names)):
        raise FormatError(where, f"1 to {MAX_SUBJECTS} subjects, each once and sorted", "others")
    if isinstance(result, Event) and not isinstance(result.predicate.event.get("kind"), str):
        raise FormatError(where, "an event with a kind", "none")
    return result


def _reason(error: msgspec.ValidationError) -> str:
    """Return where in the statement and which types; msgspec's text quotes values only of tags."""
    return "an invalid value" + (f" at {str(error).rpartition('`$')[2].rstrip('`')}" if "`$" in str(error) else "")
