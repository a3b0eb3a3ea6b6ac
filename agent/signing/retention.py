"""Rows past their days are removed by the signer itself: nobody has to ask, and nobody else may say which."""

from __future__ import annotations

import datetime as dt

from agent.signing.clerk import Clerk
from agent.signing.outbox import Outbox


class Retention:
    """Removes once in a while what the configuration keeps no longer."""

    def __init__(self, clerk: Clerk, outbox: Outbox) -> None:
        self._clerk = clerk
        self._outbox = outbox

    def is_due(self) -> bool:
        """Return whether the last time is long enough ago; a clock that was set back makes it due, too."""
        since = self._outbox.wall() - self._outbox.progress.pruned
        return not 0 <= since < self._outbox.policy.prune_every_s

    def keep(self) -> int:
        """Remove what is past its days, and return how many blobs. Raises: EvidenceError."""
        now = self._outbox.wall()
        with self._outbox.saved() as progress:
            progress.pruned = now
        before = dt.datetime.fromtimestamp(int(now), dt.timezone.utc) - dt.timedelta(days=self._outbox.policy.keep_days)
        return self._clerk.prune(before, {})
