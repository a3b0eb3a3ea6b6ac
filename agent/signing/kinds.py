"""Events that the agent may have signed: their keys, and which absence each may claim (docs/formats.md, section 3).

What the store records of itself (a new log, a rotation, damage, a prune, a full disk) is not among them: nobody may ask
for it. No path and no name of a person stands in a statement, so every key here is a number, a time, a digest or a name
of few characters; text goes into the details.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from agent.signing.protocol import Absence, Hash, Name, Size
from evidence.errors import FormatError

MomentMs = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")]
Version = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z.+~-]{1,64}\Z")]
Hub = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x20\x7f-\x9f+]{1,200}\Z")]
Vkey = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x20\x7f-\x9f+]{1,200}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{1,100}\Z")]


class Keys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an event says beside its kind."""


class Started(Keys, frozen=True):
    """The agent begins: its version, and the digest of its configuration if it has one."""

    version: Version
    config: Hash | None


class Configured(Keys, frozen=True):
    """Another configuration is in force."""

    digest: Hash


class Jumped(Keys, frozen=True, rename={"before": "from", "after": "to"}):
    """The wall clock was set: what it said, and what it says instead."""

    before: MomentMs
    after: MomentMs


class Enrolled(Keys, frozen=True):
    """A hub knows this host; the key that its cosignatures are checked with from now on."""

    hub: Hub
    vkey: Vkey


class Stuck(Keys, frozen=True):
    """A table whose reader hangs in the kernel is left out until its mount or the host comes back."""

    table: Name


class Degraded(Keys, frozen=True):
    """Changes may be noticed by the schedule only: there were more than could be noted, or too few watches to give."""

    why: Literal["overflow", "too-many"]


class Trimmed(Keys, frozen=True):
    """Blobs left the outbox undelivered to stay within its budget; the entries that name them stay in it."""

    old: Hash
    new: Hash
    blobs: Size
    bytes: Size


class EventKind(msgspec.Struct, frozen=True):
    """One kind: its keys, and the reason of the absence that it must come with, if any."""

    keys: type[Keys]
    absence: str | None = None


EVENTS = {
    "agent-started": EventKind(Started),  # the signer itself says since when there was none
    "agent-stopped": EventKind(Keys),
    "clock-jumped": EventKind(Jumped),
    "config-changed": EventKind(Configured),
    "enrolled": EventKind(Enrolled),
    "heartbeat": EventKind(Keys),
    "suspended": EventKind(Keys, absence="suspended"),
    "table-stuck": EventKind(Stuck),
    "watches-degraded": EventKind(Degraded),
}
"""Whom the agent's parts may have signed by name."""

TRIMMED = "spool-trimmed"
"""Signed by the signer alone."""

OF_THE_AGENT = frozenset(EVENTS) - {"enrolled"}
"""Those that only the running agent has signed; enrolling is done by hand."""


def check_event(kind: str, fields: Mapping[str, Any], absence: Absence | None) -> None:
    """Refuse an event that is not as this page says. Raises: FormatError."""
    where = f"event {kind}"
    known = EVENTS.get(kind)
    if known is None:
        raise FormatError(where, f"one of {', '.join(sorted(EVENTS))}", "another kind")
    try:
        msgspec.convert(dict(fields), known.keys)
    except msgspec.ValidationError as error:
        place = str(error).rpartition(" - at `$.")[2].rstrip("`") if " - at `$." in str(error) else "its keys"
        raise FormatError(where, "the keys of docs/formats.md, each of its form", f"another in {place[:80]}") from None
    if (None if absence is None else absence.reason) != known.absence:
        expected = f"an absence with reason {known.absence}" if known.absence else "no absence"
        raise FormatError(where, expected, "another" if absence else "none")
    if absence is not None and absence.since > absence.until:  # texts of one form, so their order is that of time
        raise FormatError(where, "an absence that begins before it ends", "one that ends first")
