"""What a hub's refusal asks of us: docs/hub-protocol.md, section 3. Nothing is ever dropped."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from agent.delivery import answers
from agent.delivery.transport import Answer

Verdict = Literal["again", "enrol", "fork", "hold", "park", "retry"]

_BY_KIND: dict[tuple[int, str], Verdict] = {
    (HTTPStatus.FORBIDDEN, "not-enrolled"): "enrol",
    (HTTPStatus.FORBIDDEN, "signature"): "park",
    (HTTPStatus.CONFLICT, "fork"): "fork",
    (HTTPStatus.CONFLICT, "key"): "hold",
    (HTTPStatus.UNPROCESSABLE_ENTITY, "digest"): "again",
}
_BY_STATUS: dict[int, Verdict] = {
    HTTPStatus.UNAUTHORIZED: "hold",
    HTTPStatus.FORBIDDEN: "hold",
    HTTPStatus.REQUEST_TIMEOUT: "retry",
    HTTPStatus.CONFLICT: "retry",
    HTTPStatus.TOO_EARLY: "retry",
    HTTPStatus.TOO_MANY_REQUESTS: "retry",
}


def verdict(answer: Answer) -> Verdict:
    """Return what to do after an answer that is no acknowledgement; a 2xx that says nothing counts as 5xx."""
    by_kind = _BY_KIND.get((answer.status, answers.problem(answer).kind))
    if by_kind is not None:
        return by_kind
    refused = HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return _BY_STATUS.get(answer.status, "park" if refused else "retry")
