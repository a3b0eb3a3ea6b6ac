"""A hub that speaks docs/hub-protocol.md. Only a note that its pinned key has signed is an acknowledgement."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from http import HTTPStatus

from agent.delivery import acknowledgement, answers, backoff
from agent.delivery.errors import AnswerError, RefusedError, UnreachableError
from agent.delivery.outbox import Outgoing
from agent.delivery.pace import Pace
from agent.delivery.results import TOO_LARGE, Behind, Delivered, Held, Parked, Result, Retry, Unknown
from agent.delivery.sinks.hub_verdicts import verdict
from agent.delivery.transport import Answer, Body, Client, body_of
from evidence.batch_form import SUFFIX
from evidence.note import Verifier

SMALLEST_PIECE = 64 << 10
LARGEST_PIECE = 4 << 20
_PIECE_S = 20.0
"""A piece takes no longer than this at the pace that is configured."""
_AGAIN = 3
"""Times that one delivery is begun anew, because the hub lost the upload or received other bytes."""
_NOTE_LIMIT = 4096
"""Characters of the header with the checkpoint."""


Enrol = Callable[[Client], str | None]
"""Enrol with a hub that does not know a log's key; return why that was not possible, None if it was."""


class HubSink:
    """Sends batches to a hub, in pieces where they are large or the way is bad."""

    def __init__(
        self,
        name: str,
        client: Client,
        pace: Pace,
        *,
        key: Verifier,
        enrol: Enrol,
        keep: Callable[[bytes], object],
        piece: int | None = None,
    ) -> None:
        """`keep` takes what a hub said that is no acknowledgement; `piece` is the size that got through last time."""
        self.name = name
        self._client = client
        self._pace = pace
        self._key = key
        self._enrol = enrol
        self._keep = keep
        self._most = max(SMALLEST_PIECE, min(LARGEST_PIECE, int(pace.rate * _PIECE_S)))
        self.piece = max(SMALLEST_PIECE, min(self._most, piece or self._most))

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def enrol(self) -> str | None:
        """Make this host's key known to the hub; return why that was not possible, None if it was."""
        return self._enrol(self._client)

    def size_of(self, log_id: str) -> int | None:
        """Return how many entries of a log the hub acknowledges, None if it has none of it.

        Raises: AnswerError for what the hub's key has not signed, UnreachableError.
        """
        answer = self._client.exchange("GET", self._client.address.target(f"/v1/logs/{log_id}/checkpoint"))
        if answer.status == HTTPStatus.NOT_FOUND and answers.problem(answer).kind == "unknown":
            return None
        if answer.status != HTTPStatus.OK:
            raise AnswerError(self._client.address.where, "the checkpoint of a log", self._said(answer))
        try:
            return acknowledgement.checkpoint_of(answer.body, log_id, self._key, self._client.address.where).size
        except AnswerError:
            self._aside(answer)
            raise

    def deliver(self, batch: Outgoing) -> Result:
        """Send a batch, going on with an upload that was begun."""
        for _ in range(_AGAIN):
            result = self._sent(batch)
            if result is not None:
                return result
        return Parked(
            f"{batch.name}: expected an upload that ends, found {_AGAIN} that were lost or damaged on the way"
        )

    def _sent(self, batch: Outgoing) -> Result | None:
        """Return what became of one upload, None if it is to be begun again."""
        whole = batch.size <= self.piece
        answer = self._ask("POST", "/v1/batches", self._announced(batch, whole=whole), self._body(batch, whole=whole))
        if answer.status == HTTPStatus.CREATED and not whole:
            return self._continued(batch, answer)
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and whole and self._halve():
            return None
        return self._judged(batch, answer)

    def _continued(self, batch: Outgoing, begun: Answer) -> Result | None:
        """Send what an upload lacks, piece by piece."""
        target = answers.location(begun, self._client.address.where)
        offset = answers.number(begun, "upload-offset") or 0
        largest = answers.append_limit(begun) or self.piece
        for _ in range(2 * (batch.size // SMALLEST_PIECE + 8)):  # a hub that never gets on is left for now
            if offset > batch.size:
                return Retry(f"expected an offset up to {batch.size}, found {offset}")
            stop = min(batch.size, offset + min(self.piece, largest))
            answer = self._piece(batch, target, offset, stop)
            if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and self._halve():
                continue
            if answer.status == HTTPStatus.NOT_FOUND:  # the hub has forgotten it, or has taken it: POST tells which
                return None
            moved = _offset(answer)
            if moved is None:
                return self._judged(batch, answer)
            if answer.status == HTTPStatus.NO_CONTENT and stop - offset == self.piece:
                self.piece = min(self._most, self.piece * 2)
            offset = moved
        return Retry("expected an upload that gets on, found one that does not")

    def _piece(self, batch: Outgoing, target: str, offset: int, stop: int) -> Answer:
        headers = {
            "Content-Type": "application/partial-upload",
            "Upload-Offset": str(offset),
            "Upload-Complete": "?1" if stop == batch.size else "?0",
        }
        return self._ask("PATCH", target, headers, self._pace.body(batch, offset, stop))

    def _ask(self, method: str, path: str, headers: dict[str, str], body: Body) -> Answer:
        try:
            return self._client.exchange(method, self._client.address.target(path), headers, body)
        except UnreachableError:
            self._halve()  # the way may be too slow for what was sent at once
            raise

    def _body(self, batch: Outgoing, *, whole: bool) -> Body:
        return self._pace.body(batch) if whole else body_of(b"")

    def _announced(self, batch: Outgoing, *, whole: bool) -> dict[str, str]:
        checkpoint = base64.b64encode(batch.head.note.encode()).decode("ascii")
        if len(checkpoint) > _NOTE_LIMIT:
            raise AnswerError(batch.name, f"a checkpoint of at most {_NOTE_LIMIT} characters", f"{len(checkpoint)}")
        return {
            "Content-Type": "application/gzip",
            "Evidenced-Batch": batch.name.removesuffix(SUFFIX),
            "Evidenced-Digest": batch.sha256,
            "Evidenced-Checkpoint": checkpoint,
            "Upload-Length": str(batch.size),
            "Upload-Complete": "?1" if whole else "?0",
        }

    def _halve(self) -> bool:
        """Send smaller pieces from now on; return whether they can be smaller."""
        before, self.piece = self.piece, max(SMALLEST_PIECE, self.piece // 2)
        return self.piece < before

    def _judged(self, batch: Outgoing, answer: Answer) -> Result | None:  # noqa: PLR0911  one for each verdict
        """Return what an answer means; None: begin again. docs/hub-protocol.md, section 3."""
        if answer.status == HTTPStatus.OK:
            return self._acknowledged(batch, answer)
        size = answers.log_size(answer)
        if size is not None:
            return _behind(batch, size)
        said = self._said(answer)
        match verdict(answer):
            case "again":
                return None
            case "enrol":
                return Unknown(said)
            case "fork":
                self._aside(answer)
                return Parked(said, answers.problem(answer).known)
            case "hold":
                return Held(said)
            case "park":
                return Parked(said if answer.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE else f"{TOO_LARGE}: {said}")
        if answer.status < HTTPStatus.BAD_REQUEST:
            self._aside(answer)  # 2xx without a note, a redirect: a captive portal, a proxy, a wrong host
        return Retry(said, backoff.asked_s(answer.header("retry-after")))

    def _acknowledged(self, batch: Outgoing, answer: Answer) -> Result:
        try:
            acknowledgement.check(answer.body, batch, self._key, self._client.address.where)
        except AnswerError as error:
            self._aside(answer)
            if answers.media_type(answer) == answers.NOTE:
                raise
            found = answers.in_place_of_it(answer)
            raise AnswerError(error.where, "an acknowledgement", found, answers.NOT_A_HUB) from None
        return Delivered(answer.body)

    def _said(self, answer: Answer) -> str:
        """Return why a request was refused, and where, if it may not have been a hub that did."""
        said = answers.reason(answer)
        if answers.is_of_a_hub(answer):
            return said
        return str(RefusedError(self._client.address.where, "the word of a hub", said, answers.NOT_A_HUB))

    def _aside(self, answer: Answer) -> None:
        with contextlib.suppress(OSError):
            self._keep(answer.body)


def _behind(batch: Outgoing, size: int) -> Result:
    if size >= batch.place.first:
        return Retry(f"expected a size in front of entry {batch.place.first}, found {size}")
    return Behind(size)


def _offset(answer: Answer) -> int | None:
    """Return how far an upload has come, None if the answer is about something else."""
    moved = answer.status == HTTPStatus.CONFLICT and answers.problem(answer).type == answers.WRONG_OFFSET
    if moved or answer.status == HTTPStatus.NO_CONTENT:
        return answers.number(answer, "upload-offset")
    return None
