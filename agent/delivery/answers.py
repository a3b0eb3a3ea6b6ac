"""What a hub answers, read strictly: docs/hub-protocol.md. Any bytes give a value or our error, and nothing else."""

from __future__ import annotations

import http
import re
from typing import Annotated, TypeVar

import msgspec

from agent.delivery.errors import AnswerError
from agent.delivery.transport import Answer
from evidence import restricted_json
from evidence.errors import EvidenceError
from evidence.keys import NOTE_COSIGNATURE
from evidence.note import Verifier

PROBLEM = "application/problem+json"
SIZE = "text/x.tlog.size"
NOTE = "text/plain"
KIND = "urn:evidenced:hub:"
WRONG_OFFSET = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,15})\n?\Z")
_NUMBER = re.compile(r"[0-9]{1,15}\Z")
_LOCATION = re.compile(r"/[A-Za-z0-9._~/-]{1,500}\Z")
_LIMIT = 64 << 10
_LATER = (http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_EARLY, http.HTTPStatus.TOO_MANY_REQUESTS)
_DETAIL = 200
HTML = "text/html"
NOT_A_HUB = "see whether this is the hub's address; a portal or a proxy may answer"
UNWELL = "try again later; if it stays so, ask whoever runs the hub"

Bytes = Annotated[int, msgspec.Meta(ge=1, le=2**40)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class HubInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Who a hub says it is."""

    max_chunk: Bytes
    name: Text
    nonce: Text
    protocol: int
    vkey: Text

    @property
    def verifier(self) -> Verifier:
        """Return the key whose cosignature is an acknowledgement. Raises: AnswerError."""
        return storage_key(self.vkey, "vkey of the hub")


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """What a hub says of an enrolment."""

    hub: Text
    log: Text
    vkey: Text


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a hub did not do what it was asked: RFC 9457."""

    type: str = ""
    detail: str = ""
    known: Annotated[str, msgspec.Meta(max_length=16 << 10)] | None = None

    @property
    def kind(self) -> str:
        """Return the last part of a type of ours, "" of another."""
        return self.type.removeprefix(KIND) if self.type.startswith(KIND) else ""


def hub_info(answer: Answer, where: str) -> HubInfo:
    """Return who answered. Raises: AnswerError."""
    try:
        found = _json(answer, HubInfo, where, "a hub of protocol 1")
    except AnswerError as error:
        raise AnswerError(where, error.expected, error.found, NOT_A_HUB) from None
    if found.protocol != 1:
        raise AnswerError(where, "a hub of protocol 1", "another protocol", "hub and agent must be of one version")
    return found


def enrolled(answer: Answer, where: str) -> Enrolled:
    """Return what was enrolled. Raises: AnswerError."""
    return _json(answer, Enrolled, where, "the answer to an enrolment")


def problem(answer: Answer) -> Problem:
    """Return what a refusal says; an empty one if it is not of the form: the status counts then."""
    if media_type(answer) != PROBLEM:
        return Problem()
    try:
        return _json(answer, Problem, "problem", "a problem")
    except AnswerError:
        return Problem()


def reason(answer: Answer) -> str:
    """Return why a request was refused, as one line for people; a hub's text is cut and made harmless."""
    found = problem(answer)
    phrase = http.HTTPStatus(answer.status).phrase.lower() if answer.status in set(http.HTTPStatus) else "unknown"
    said = "".join(each if each.isprintable() else "?" for each in found.detail[:_DETAIL])
    words = [f"status {answer.status} ({phrase})", *([found.kind[:_DETAIL]] if found.kind.isprintable() else []), said]
    return ": ".join(each for each in words if each)


def is_of_a_hub(answer: Answer) -> bool:
    """Return whether a refusal has the form that a hub gives it; a server that is unwell need not have any."""
    return media_type(answer) in (PROBLEM, SIZE) or is_unwell(answer)


def is_unwell(answer: Answer) -> bool:
    """Return whether it may be another answer in a while."""
    return answer.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _LATER


def log_size(answer: Answer) -> int | None:
    """Return the size in a 409 as tlog-witness has it, None if it is another answer."""
    if answer.status != http.HTTPStatus.CONFLICT or media_type(answer) != SIZE or not _SIZE.match(answer.body):
        return None
    return int(answer.body)


def number(answer: Answer, name: str) -> int | None:
    """Return a header that is a number, None otherwise."""
    text = answer.header(name) or ""
    return int(text) if _NUMBER.match(text) else None


def append_limit(answer: Answer) -> int | None:
    """Return the largest piece that a hub takes, None if it does not say."""
    for part in (answer.header("upload-limit") or "").split(","):
        key, _, value = part.strip().partition("=")
        if key == "max-append-size" and _NUMBER.match(value):
            return max(1, int(value))
    return None


def location(answer: Answer, where: str) -> str:
    """Return the path of an upload, on this same host. Raises: AnswerError."""
    text = answer.header("location") or ""
    if not _LOCATION.match(text) or "//" in text or ".." in text:
        raise AnswerError(where, "the path of an upload on this host", "another Location")
    return text


def storage_key(vkey: str, where: str) -> Verifier:
    """Return the hub's key that acknowledges. Raises: AnswerError."""
    try:
        found = Verifier.parse(vkey)
    except EvidenceError:
        found = None
    if found is None or found.kind != NOTE_COSIGNATURE:
        raise AnswerError(where, "a key that cosigns (NAME+ID+KEY, type 04)", "another text")
    return found


def media_type(answer: Answer) -> str:
    """Return the media type without its parameters, in lower case; "" if there is none."""
    return (answer.header("content-type") or "").partition(";")[0].strip().lower()


def in_place_of_it(answer: Answer) -> str:
    """Return in words what came in place of what was asked for."""
    return "a page of HTML" if media_type(answer) == HTML else "another document"


Form = TypeVar("Form", HubInfo, Enrolled, Problem)


def _json(answer: Answer, form: type[Form], where: str, expected: str) -> Form:
    try:
        return msgspec.convert(restricted_json.decode(answer.body, where=where, limit=_LIMIT), form)
    except (EvidenceError, msgspec.ValidationError):
        raise AnswerError(where, expected, in_place_of_it(answer)) from None
