"""What a request is refused with: a status, a kind that programs know, and words for people (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

URN = "urn:evidenced:hub:"
OFFSET = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
MEDIA_TYPE = "application/problem+json"
SIZE_TYPE = "text/x.tlog.size"
_DETAIL = 500

# docs/hub-protocol.md, section 3
_KINDS = {
    "malformed": (400, "not a request of this protocol"),
    "token": (401, "no valid enrolment token"),
    "nonce": (403, "not a nonce of this hub, or an old one"),
    "proof": (403, "the key did not sign its proof"),
    "signature": (403, "the checkpoint is not signed by the key of its log"),
    "not-enrolled": (403, "the key of this log is not known"),
    "unknown": (404, "nothing here by that name"),
    "method": (405, "another method is needed"),
    "timeout": (408, "the body came too slowly"),
    "busy": (409, "another request works on the same upload"),
    "fork": (409, "the log was split: one key signed two histories"),
    "key": (409, "the log id belongs to another key"),
    "length": (411, "a Content-Length is needed"),
    "too-large": (413, "larger than the hub takes"),
    "media": (415, "another media type or encoding is needed"),
    "digest": (422, "what arrived is not what was announced"),
    "batch": (422, "the batch does not hold"),
    "inconsistent": (422, "the consistency proof does not hold"),
    "too-many": (429, "too many at once"),
    "internal": (500, "the hub failed"),
    "unavailable": (503, "the hub is busy or stopping"),
    "storage": (507, "the hub has no room"),
}
_SPELLED = {"inconsistent": "proof"}
"""Kinds that two statuses share one word for."""


class Refused(Exception):  # noqa: N818  it is an answer, not a defect
    """A request that is answered with another status than it hoped for."""

    def __init__(self, status: int, media_type: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}")
        self.status = status
        self.media_type = media_type
        self.body = body
        self.headers = dict(headers or {})


class Problem(Refused):
    """A refusal by kind; `extra` are further keys of its JSON."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, str] | None = None,
        uri: str | None = None,
        status: int | None = None,
    ) -> None:
        usual, title = _KINDS[kind]
        self.kind = _SPELLED.get(kind, kind)
        self.detail = detail[:_DETAIL]
        value = {"detail": self.detail, "status": status or usual, "title": title, **(extra or {})}
        value["type"] = uri or URN + self.kind
        super().__init__(status or usual, MEDIA_TYPE, msgspec.json.encode(value, order="sorted"), headers)


class StandsElsewhere(Refused):
    """The hub stands at another size than the request builds on (C2SP tlog-witness)."""

    def __init__(self, size: int) -> None:
        super().__init__(409, SIZE_TYPE, b"%d\n" % size)
        self.size = size


def at_offset(offset: int) -> Problem:
    """Return the refusal of a piece that begins elsewhere than the upload ends."""
    headers = {"Upload-Offset": f"{offset}", "Upload-Complete": "?0"}
    return Problem("malformed", f"expected a piece at {offset}", headers=headers, uri=OFFSET, status=409)
