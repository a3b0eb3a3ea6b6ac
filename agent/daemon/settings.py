"""What `evidenced run` tells the supervisor on its command line: folders, users, and how to start the other parts."""

from __future__ import annotations

from agent.daemon.rights import User

PARTS = ("collect", "sign", "upload")


class Settings:
    """Folders, and who runs what."""

    def __init__(self) -> None:
        self.state = ""
        self.outbox = ""
        self.cache = ""
        self.run = ""
        self.config = ""
        """A configuration file other than the usual one; empty for that."""
        self.plan = ""
        """A file with the plan, in place of asking `_plan`."""
        self.pressure = "/proc/pressure"
        self.users: dict[str, User] = {}
        """Whom each part is lowered to; empty where all are the same user."""
        self.record_gid: int | None = None
        """The group that may also speak to the signer."""
        self.program: list[str] = []
        """The words that start this program; the command follows."""

    def command(self, name: str, *more: str) -> list[str]:
        """Return the words that start a part."""
        words = [*self.program, name]
        if self.state and name != "_plan":
            words += ["--state", self.state]
        if self.config:
            words += ["--config", self.config]
        return [*words, *more]


def read_settings(words: list[str]) -> Settings:
    """Return what the words say; they come from `evidenced run`, not from people. Raises: ValueError."""
    settings, rest = Settings(), list(words)
    while rest and rest[0] != "--":
        option, value, *rest = rest
        name = option.removeprefix("--")
        if name in {"state", "outbox", "cache", "run", "config", "plan", "pressure"}:
            setattr(settings, name, value)
        elif name == "record-gid":
            settings.record_gid = int(value)
        elif name == "user":
            part, _, numbers = value.partition("=")
            uid, gid, groups = numbers.split(":")
            settings.users[part] = User(int(uid), int(gid), [int(each) for each in groups.split(",")])
        else:
            raise ValueError(f"expected an option of the supervisor, found {option}")
    settings.program = rest[1:]
    if not settings.program or not settings.run:
        raise ValueError("expected --run and the words that start the program, found none")
    return settings
