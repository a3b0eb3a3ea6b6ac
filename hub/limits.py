"""How much one peer, one request and one log may ask of the hub."""

from __future__ import annotations

import msgspec

MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """docs/hub-protocol.md, section 3; times in seconds, sizes in bytes."""

    max_chunk: int = 4 * MIB
    max_batch: int = 256 * MIB
    max_small_body: int = 64 * 1024
    """JSON and notes."""
    max_head: int = 16 * 1024
    """Request line and headers."""
    head_s: float = 10
    piece_s: float = 30
    """Between two pieces of a body."""
    body_s: float = 120
    idle_s: float = 20
    """A connection without a request."""
    nonce_s: int = 600
    upload_age_s: int = 24 * 3600
    uploads_per_log: int = 4
    per_peer: int = 16
    """Requests of one address at one time."""
    at_once: int = 256
    """Requests at one time."""
    connections: int = 2000
    reserve: int = 512 * MIB
    """Bytes that stay free on the disk."""
