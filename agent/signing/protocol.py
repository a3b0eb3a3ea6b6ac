"""What is said over the signer's socket, in frames as a collecting child sends them (agent.collection.frames).

A request is one ``Q`` frame. For a snapshot the frames of its tables follow, exactly as a child sent them, and a ``Z``
frame ends it. The answer is one ``A`` frame. Then the next request may follow on the same connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from agent.collection.frames import FRAME_LIMIT, FrameError, encode
from evidence.errors import FormatError

KINDS = frozenset(b"QTRGFEZA")
QUESTION_BYTES = 64 << 10
"""Bytes of a request: more than any statement can hold."""
MAX_TABLES = 400
"""Of one snapshot: a statement has 1,000 subjects at most, and a table two."""
MAX_LOGS = 10_000
"""Of one answer: so many fit into a frame."""

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,62}\Z")]
Column = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}\Z")]
Kind = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{0,62}\Z")]
Moment = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Size = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
LogId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}-[1-9][0-9]{0,14}\Z")]
Batch = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}-[1-9][0-9]{0,14}-[0-9]{12}-[0-9]{12}\.tar\.gz\Z")]
Sink = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}\Z")]
Labels = Annotated[
    dict[
        Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_.:-]{1,64}\Z")],
        Annotated[str, msgspec.Meta(min_length=1, max_length=200)],
    ],
    msgspec.Meta(max_length=64),
]


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op"):
    """Any request."""


class Hello(Question, frozen=True, tag="hello"):
    """Who signs, what has been signed, and the secret that keys this host's pseudonyms."""


class Image(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An image that was read in place of this host: its name and the keyed hash of its machine id."""

    name: Text
    machine: Hash | None


class Snapshot(Question, frozen=True, tag="snapshot"):
    """Sign one run's collections, whose frames follow; a live host's name and machine id the signer finds itself."""

    tables: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=MAX_TABLES)]
    promise: dict[Name, Seconds | None]
    reason: Literal["by-hand", "scheduled", "change"]
    privileged: bool
    labels: Labels
    image: Image | None = None
    dropped: Annotated[tuple[Column, ...], msgspec.Meta(max_length=1000)] = ()
    """Columns that the configuration leaves out, which the header then says."""
    disabled: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MAX_TABLES)] = ()
    """Tables that the configuration leaves out; no frames come for them."""


class Absence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """Why tables were not read between two times."""

    since: Moment
    until: Moment
    reason: Kind

    @classmethod
    def parse(cls, absence: Mapping[str, str]) -> Absence:
        """Return the absence in `from`, `until` and `reason`. Raises: FormatError."""
        try:
            return msgspec.convert(dict(absence), cls)
        except msgspec.ValidationError:
            raise FormatError("absence", "from and until as 2026-01-31T07:00:00Z, and a reason", "another") from None


class Event(Question, frozen=True, tag="event"):
    """Sign something that happened to the agent or its host."""

    kind: Kind
    fields: dict[str, Any]
    details: dict[str, Any]
    labels: Labels
    absence: Absence | None = None


class Record(Question, frozen=True, tag="record"):
    """Sign what a person or a job says."""

    kind: Kind
    fields: dict[str, str]
    note: Annotated[str, msgspec.Meta(max_length=2000)] | None = None
    at: Moment | None = None


class Rotate(Question, frozen=True, tag="rotate"):
    """Make a new key, signed by both."""


class Prune(Question, frozen=True, tag="prune"):
    """Remove the blobs that only entries before a time need."""

    before: Moment


class Check(Question, frozen=True, tag="check"):
    """Compare everything with its hash, and mend what can be mended."""


class Delivered(Question, frozen=True, tag="delivered"):
    """A sink has a batch: a hub proves it by the log's checkpoint with its own line, others by the batch's digest."""

    sink: Sink
    batch: Batch
    note: Annotated[str, msgspec.Meta(max_length=16 << 10)] | None = None
    sha256: Hash | None = None


class Refused(Question, frozen=True, tag="refused"):
    """A sink will not have a batch; it stays where it is. A fork's proof is the note that contradicts ours."""

    sink: Sink
    batch: Batch
    reason: Text
    note: Annotated[str, msgspec.Meta(max_length=16 << 10)] | None = None


class Prove(Question, frozen=True, tag="prove"):
    """Sign that this log's key enrols with a hub that gave this nonce."""

    hub: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x20\x7f-\x9f+]{1,200}\Z")]
    nonce: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,200}\Z")]


class Logs(Question, frozen=True, tag="logs"):
    """Which logs there are, and how far each is signed: what a hub has of them is compared with that."""


class Batches(Question, frozen=True, tag="batches"):
    """Write to the outbox what no batch holds yet; `log` and `first`: once more, from this entry on."""

    log: LogId | None = None
    first: Size | None = None


class Flush(Question, frozen=True, tag="flush"):
    """Write to the outbox what is due."""


class Settings(Question, frozen=True, tag="settings"):
    """Which configuration is in force: the one that was signed last, whatever is in the files by now."""


AnyQuestion = (
    Hello | Snapshot | Event | Record | Rotate | Prune | Check  # what is signed
    | Delivered | Refused | Prove | Logs | Batches | Flush | Settings  # what leaves
)  # fmt: skip


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="is"):
    """Any answer; `news` is what the store has to say, come what may."""

    news: tuple[str, ...] = ()


class Welcome(Answer, frozen=True, tag="welcome"):
    """To `hello`; the secret in base64, the log that goes on, or None before the first entry."""

    secret: bytes
    machine: Hash | None
    fingerprint: str | None
    origin: str | None
    size: Size


class Signed(Answer, frozen=True, tag="signed"):
    """An entry that is on disk."""

    origin: str
    sequence: Size
    kind: str
    wall: str
    leaf: Hash
    fingerprint: str | None


class Done(Answer, frozen=True, tag="done"):
    """Something was done to so many things."""

    count: Size = 0


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an older key of this host was followed by the next: the last entry of the log it signed."""

    envelope: str
    key: str
    origin: str


class Proof(Answer, frozen=True, tag="proof"):
    """To `prove`: the log's origin, its public key as SPKI in base64, the SSHSIG, and how the host came to that key."""

    origin: str
    key: str
    sshsig: str
    rotations: tuple[Rotation, ...] = ()
    """Oldest first."""


class LogSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A log, and how many entries of it are signed."""

    log: LogId
    size: Size


class Listed(Answer, frozen=True, tag="listed"):
    """To `logs`: the newest of them, oldest first."""

    logs: Annotated[tuple[LogSize, ...], msgspec.Meta(max_length=MAX_LOGS)]


class Configured(Answer, frozen=True, tag="configured"):
    """To `settings`: all of them as canonical JSON; None: none were signed, and the files count."""

    settings: str | None


class Failed(Answer, frozen=True, tag="failed"):
    """Nothing was done, and why: an error of the store, or of what was asked."""

    kind: str
    where: str
    expected: str
    found: str
    step: str


AnyAnswer = Welcome | Signed | Done | Proof | Listed | Configured | Failed

_question = msgspec.json.Decoder(AnyQuestion)
_answer = msgspec.json.Decoder(AnyAnswer)


def question_frame(question: Question) -> bytes:
    """Return the frame that asks. Raises: FrameError when it is larger than the signer takes."""
    payload = msgspec.json.encode(question)
    if len(payload) > QUESTION_BYTES:
        raise FrameError(f"expected a request of at most {QUESTION_BYTES} bytes, found {len(payload)}")
    return encode(b"Q", payload)


def parse_question(payload: bytes) -> AnyQuestion:
    """Return the request in a frame. Raises: FrameError, without a word of what was sent."""
    if len(payload) > QUESTION_BYTES:
        raise FrameError(f"expected a request of at most {QUESTION_BYTES} bytes, found {len(payload)}")
    try:
        question: AnyQuestion = _question.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FrameError("expected a request that this version knows, found something else") from None
    return question


def checked(question: Question) -> Question:
    """Return a question of our own making as it would be read at the other end. Raises: FrameError if it would not."""
    return parse_question(msgspec.json.encode(question))


def answer_frame(answer: Answer) -> bytes:
    """Return the frame that answers; news that do not fit are left out."""
    payload = msgspec.json.encode(answer)
    if len(payload) > FRAME_LIMIT:
        payload = msgspec.json.encode(msgspec.structs.replace(answer, news=()))
    return encode(b"A", payload)


def parse_answer(payload: bytes) -> AnyAnswer:
    """Return the answer in a frame. Raises: FrameError."""
    try:
        answer: AnyAnswer = _answer.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FrameError("expected an answer that this version knows, found something else") from None
    return answer
