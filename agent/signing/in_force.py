"""The configuration in force at the signer: the one whose digest it signed last, kept beside the log.

An edit of the files counts for the signer once the supervisor has planned by it and its digest is signed, by the event
`agent-started` or `config-changed`. The settings themselves are taken from the files, never from whoever asks: he could
have rows removed, or batches taken for delivered.
"""

from __future__ import annotations

import contextlib
import sys

import msgspec

from agent.configuration.model import Configuration
from agent.signing.policy import Policy, policy_in, policy_of
from evidence.errors import EvidenceError
from evidence.state import open_state

NAME = "settings.json"
LIMIT = 1 << 20


class InForce:
    """The settings of one state; `config` is the file of `--config`, if one was given."""

    def __init__(self, state: str, config: str | None) -> None:
        self._state = state
        self._config = config

    def read(self, digest: str | None) -> bytes | None:
        """Return what the files say as canonical JSON, if it has the digest that is to be signed. Raises: OSError.

        It is read before that is signed: an edit that comes behind the entry does not count by it.
        """
        from agent.configuration.digest import canonical, digest_of  # noqa: PLC0415  a TOML reader comes with it
        from agent.configuration.loading import load  # noqa: PLC0415

        text = canonical(load(self._config).configuration)
        if digest_of(text) == digest:
            return text
        sys.stderr.write("evidenced _sign: the configuration is not the one in force; reload the service\n")
        return None

    def keep(self, text: bytes) -> None:
        """Keep the settings that were read, now that their digest is signed. Raises: OSError, EvidenceError."""
        root = open_state(self._state, create=True)
        with contextlib.closing(root):
            root.replace(NAME, text)

    def settings(self) -> bytes | None:
        """Return the settings in force as canonical JSON; None if none were signed, or what was kept is damaged."""
        with contextlib.suppress(FileNotFoundError, EvidenceError, msgspec.DecodeError, UnicodeDecodeError):
            root = open_state(self._state, create=False)
            with contextlib.closing(root):
                text = root.read(NAME, LIMIT)
            msgspec.json.decode(text, type=Configuration)
            return text
        return None

    def policy(self) -> Policy:
        """Return what the settings in force say, or else the files."""
        text = self.settings()
        return policy_of(self._config) if text is None else policy_in(msgspec.json.decode(text, type=Configuration))
