"""Rows past their days are removed by the signer itself: nobody has to ask, and nobody else may say which."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from agent.clocks import synchronised
from agent.signing.clerk import Clerk
from agent.signing.outbox import Outbox
from evidence.errors import EvidenceError
from evidence.reader import StoreReader

NEAR = dt.timedelta(days=1)
"""Between a hub's word on the time and ours: batches may wait that long."""


class Retention:
    """Removes once in a while what the configuration keeps no longer.

    Only while somebody vouches for the clock, since one that jumped ahead would age every row at once: the kernel's
    time source or, where the signer cannot ask, a hub that cosigned within a day of it. And only by a configuration
    without a problem, since days that nobody could read are not the default's: what is kept too long can be removed
    later, what was removed cannot be had back.
    """

    def __init__(self, clerk: Clerk, outbox: Outbox, *, disciplined: Callable[[], bool | None] = synchronised) -> None:
        self._clerk = clerk
        self._outbox = outbox
        self._disciplined = disciplined

    def is_due(self) -> bool:
        """Return whether the last time is long enough ago; a clock that was set back makes it due, too."""
        since = self._outbox.wall() - self._outbox.progress.pruned
        if not self._outbox.policy.known or 0 <= since < self._outbox.policy.prune_every_s:
            return False
        disciplined = self._disciplined()
        return self._is_cosigned() if disciplined is None else disciplined

    def _is_cosigned(self) -> bool:
        """Return whether a hub's clock, in the newest cosignature of the newest log, is within a day of ours."""
        try:
            with StoreReader(self._clerk.state) as reader:
                logs = reader.logs()
                found = reader.receipt(logs[-1].id) if logs else None
        except (EvidenceError, OSError):
            return False
        now = dt.datetime.fromtimestamp(self._outbox.wall(), dt.timezone.utc)
        return found is not None and any(abs(now - _moment(each.time)) <= NEAR for each in found.receipts)

    def keep(self) -> int:
        """Remove what is past its days, and return how many blobs. Raises: EvidenceError."""
        now = self._outbox.wall()
        with self._outbox.saved() as progress:
            progress.pruned = now
        before = dt.datetime.fromtimestamp(int(now), dt.timezone.utc) - dt.timedelta(days=self._outbox.policy.keep_days)
        return self._clerk.prune(before, {})


def _moment(text: str) -> dt.datetime:
    return dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.timezone.utc)
