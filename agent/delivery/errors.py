"""What keeps a batch from its destination: one base, and children by what can be done about it."""

from __future__ import annotations


class DeliveryError(Exception):
    """An exchange that did not take place as it must: where, what was expected, what was found, and the next step.

    The parts are words about the exchange, never a token and never what a server said of itself.
    """

    def __init__(self, where: str, expected: str, found: str, step: str = "") -> None:
        self.fact = f"{where}: expected {expected}, found {found}"
        super().__init__(self.fact + (f"; {step}" if step else ""))
        self.where = where
        self.expected = expected
        self.found = found
        self.step = step


class UnreachableError(DeliveryError):
    """Nobody answered, or not in time: try again later."""


class AnswerError(DeliveryError):
    """Something answered that is not what was asked for: try again later, believe nothing of it."""


class UntrustedError(DeliveryError):
    """The other side could not show that it is who was configured: nothing was sent to it; its owner must look."""


class SettingsError(DeliveryError):
    """A setting cannot be used as it stands (a file that is missing, a URL of another kind): the operator must look."""


class BatchError(DeliveryError):
    """A file of the outbox that is not the batch its name says: it is of no use to any sink."""


class RefusedError(DeliveryError):
    """The other side understood, and will not: its operator must be asked."""
