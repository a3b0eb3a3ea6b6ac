"""Rows past their days are removed by the signer itself: nobody has to ask, and nobody else may say which."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from agent.clocks import synchronised
from agent.signing.clerk import Clerk
from agent.signing.outbox import Outbox


class Retention:
    """Removes once in a while what the configuration keeps no longer.

    Only while a time source vouches for the clock, since one that jumped ahead would age every row at once, and only by
    a configuration without a problem, since days that nobody could read are not the default's: what is kept too long
    can be removed later, what was removed cannot be had back.
    """

    def __init__(self, clerk: Clerk, outbox: Outbox, *, disciplined: Callable[[], bool | None] = synchronised) -> None:
        self._clerk = clerk
        self._outbox = outbox
        self._disciplined = disciplined

    def is_due(self) -> bool:
        """Return whether the last time is long enough ago; a clock that was set back makes it due, too."""
        if not self._outbox.policy.known or self._disciplined() is not True:
            return False
        since = self._outbox.wall() - self._outbox.progress.pruned
        return not 0 <= since < self._outbox.policy.prune_every_s

    def keep(self) -> int:
        """Remove what is past its days, and return how many blobs. Raises: EvidenceError."""
        now = self._outbox.wall()
        with self._outbox.saved() as progress:
            progress.pruned = now
        before = dt.datetime.fromtimestamp(int(now), dt.timezone.utc) - dt.timedelta(days=self._outbox.policy.keep_days)
        return self._clerk.prune(before, {})
