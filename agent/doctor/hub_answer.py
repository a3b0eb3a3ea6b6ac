"""What a hub says of itself, docs/hub-protocol.md section 4, held against the key that was pinned."""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent.doctor.check import Check, fine, note, wrong
from evidence import restricted_json
from evidence.errors import EvidenceError
from evidence.note import Verifier
from program.text import printable

PROTOCOL = 1
OK = 200


class _Said(msgspec.Struct, frozen=True):
    name: Annotated[str, msgspec.Meta(max_length=255)]
    protocol: int
    vkey: Annotated[str, msgspec.Meta(max_length=1000)]


def judge_answer(subject: str, status: int, body: bytes, pinned: str | None) -> Check:
    """Return what the answer to GET /v1/hub means."""
    if status != OK:
        return wrong(
            subject, f"expected status {OK}, found {status}", "see url: something else answers, or the hub is unwell"
        )
    try:
        said = msgspec.convert(restricted_json.decode(body, where="hub"), _Said)
        Verifier.parse(said.vkey, "vkey")
    except (EvidenceError, msgspec.ValidationError):
        return wrong(
            subject, "expected a hub's word about itself, found something else", "see url: a portal may answer"
        )
    if said.protocol != PROTOCOL:
        return wrong(
            subject, f"expected protocol {PROTOCOL}, found {said.protocol}", "use a hub or an agent of the same version"
        )
    if pinned is None:
        return note(subject, f"{printable(said.name)} answers; its key is not pinned", "evidenced enroll --hub URL")
    if said.vkey != pinned:
        found = "another key than the one that is pinned"
        return wrong(subject, found, "ask whoever runs the hub before anything is enrolled anew")
    return fine(subject, f"{printable(said.name)}, its key as pinned")
