"""Any bytes as what a hub answers: a value within its limits, an acknowledgement that was signed, or our error."""

from __future__ import annotations

import email.message

from agent.delivery import answers, backoff
from agent.delivery.errors import AnswerError
from agent.delivery.sinks.hub_verdicts import verdict
from agent.delivery.transport import Answer

NAMES = ("content-type", "location", "upload-offset", "upload-limit", "retry-after")
TYPES = ("application/problem+json", "text/x.tlog.size", "text/plain; charset=utf-8", "application/json")
STATUSES = (200, 201, 204, 302, 400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 777)


def answer_of(data: bytes) -> Answer:
    """Return an answer: two bytes for status and type, lines of headers up to an empty one, then the body."""
    status = STATUSES[data[0] % len(STATUSES)] if data else 200
    headers = email.message.Message()
    head, _, body = data[2:].partition(b"\n\n")
    headers["content-type"] = TYPES[data[1] % len(TYPES)] if len(data) > 1 else "text/plain"
    for name, line in zip(NAMES[1:], head.split(b"\n"), strict=False):
        text = line.decode("latin-1")
        if text.isprintable():
            headers[name] = text
    return Answer(status, headers, body)


def target(data: bytes) -> None:
    """Read an answer in every way that delivery does."""
    answer = answer_of(data)
    for read in (answers.hub_info, answers.enrolled, answers.location):
        try:
            found = read(answer, "hub")
        except AnswerError:
            continue
        if isinstance(found, str) and (not found.startswith("/") or ".." in found or "//" in found):
            raise AssertionError("expected a path below the hub's address")
    reason = answers.reason(answer)
    if not reason.isprintable() or len(reason) > 500:
        raise AssertionError("expected one short line that can be printed")
    if verdict(answer) not in {"again", "enrol", "fork", "hold", "park", "retry"}:
        raise AssertionError("expected a verdict")
    for number in (answers.log_size(answer), answers.number(answer, "upload-offset"), answers.append_limit(answer)):
        if number is not None and not 0 <= number < 10**16:
            raise AssertionError("expected a number that counts something")
    asked = backoff.asked_s(answer.header("retry-after"))
    if asked is not None and not 0 <= asked <= backoff.ASKED_CAP_S:
        raise AssertionError("expected a wait within an hour")
