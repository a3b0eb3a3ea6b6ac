"""Checked batches into a folder: one folder for each log, each file whole and compared, or not there."""

from __future__ import annotations

import os

from agent.delivery import outbox
from agent.delivery.outbox import Waiting
from agent.delivery.sinks.directory import has, write


def file_into(folder: str, batch: Waiting) -> bool:
    """Copy a batch into the folder of its log, and return False if it was there. Raises: OSError, PackError."""
    own = os.path.join(folder, batch.place.log_id)
    os.makedirs(own, exist_ok=True)
    return copy(own, batch)


def copy(folder: str, batch: Waiting) -> bool:
    """Copy a batch into a folder, and return False if it was there. Raises: OSError, PackError, BatchError."""
    path = os.path.join(folder, batch.name)
    with outbox.opened(batch) as open_batch:
        if has(path, open_batch):
            return False
        write(path, open_batch)
        return True
