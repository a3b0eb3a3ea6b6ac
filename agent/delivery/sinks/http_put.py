"""Any store that takes a file by HTTP PUT: WebDAV, an artifact server. What it has is read back and compared.

A store's "201 Created" says that it heard us, not what it keeps; `confirm = "status"` is for stores that nobody may
read from. Neither is ever taken for the acknowledgement of a hub.
"""

from __future__ import annotations

import base64
import hashlib
import urllib.parse
from http import HTTPStatus

from agent.delivery import answers, backoff
from agent.delivery.errors import AnswerError, SettingsError
from agent.delivery.outbox import Outgoing
from agent.delivery.pace import Pace
from agent.delivery.results import TOO_LARGE, Delivered, Held, Parked, Result, Retry
from agent.delivery.transport import Answer, Client

_TAKEN = (200, 201, 204)
_LATER = (408, 423, 425, 429)
_OWNER = (401, 403, 404, 405, 409, 410)
"""What a store answers when folder, rights or method are not as configured: of no batch's making."""
_REFUSED = 4
_SLOWEST = 64 << 10
"""Bytes a second below which a transfer is given up: a whole file cannot be resumed, so it has as long as it takes."""


class HttpPutSink:
    """Puts batches below a URL."""

    def __init__(
        self, name: str, client: Client, pace: Pace, *, confirm: str, token: str | None = None, user: str | None = None
    ) -> None:
        self.name = name
        self._client = client
        self._pace = pace
        self._read_back = confirm == "read-back"
        self._headers = {} if token is None else {"Authorization": authorization(token, user)}

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def deliver(self, batch: Outgoing) -> Result:
        """Send a batch and, if so configured, read it back."""
        target = self._client.address.target("/" + urllib.parse.quote(batch.name))
        headers = {**self._headers, "Content-Type": "application/gzip"}
        seconds = 120 + self._pace.seconds(batch.size) + batch.size / _SLOWEST
        answer = self._client.exchange("PUT", target, headers, self._pace.body(batch), total_s=seconds)
        if answer.status not in _TAKEN:
            return refusal(answer)
        return self._compared(target, batch, seconds) if self._read_back else Delivered()

    def _compared(self, target: str, batch: Outgoing, seconds: float) -> Result:
        found = hashlib.sha256()
        answer = self._client.exchange(
            "GET", target, self._headers, into=found.update, answer_bytes=batch.size + (64 << 10), total_s=seconds
        )
        if answer.status != HTTPStatus.OK:
            return Retry(f"reading back: {answers.reason(answer)}", backoff.asked_s(answer.header("retry-after")))
        if found.hexdigest() != batch.sha256:
            raise AnswerError(self._client.address.where, "to read back what was sent", "other bytes")
        return Delivered()


def refusal(answer: Answer) -> Result:
    """Return what a store's status means."""
    said = answers.reason(answer)
    if answer.status in _OWNER:
        what = "the token" if answer.status == HTTPStatus.UNAUTHORIZED else "the folder and the rights at the store"
        return Held(f"{said}; see to {what}")
    if answer.status in _LATER or answer.status // 100 != _REFUSED:  # 5xx, or a redirect of a portal
        return Retry(said, backoff.asked_s(answer.header("retry-after")))
    return Parked(said if answer.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE else f"{TOO_LARGE}: {said}")


def authorization(token: str, user: str | None) -> str:
    """Return the header's value: Bearer (RFC 6750), or Basic with the token as password (RFC 7617)."""
    if not token or not token.isascii() or not token.isprintable() or (user is None and " " in token):
        raise SettingsError("token", "printable ASCII characters on one line", "others")
    if user is None:
        return f"Bearer {token}"
    return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode("ascii")
