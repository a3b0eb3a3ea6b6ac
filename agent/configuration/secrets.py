"""Secrets that the configuration names: read from a file that nobody else can read, or from a systemd credential."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator

from agent.configuration.model import Configuration, Directory
from agent.configuration.rules import Judgement
from agent.users import UPLOADER, user_id

SIZE_LIMIT = 64 << 10
CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd puts the credentials of a unit: systemd.exec(5)."""


class SecretError(Exception):
    """A secret that cannot be had, or that others can read; never a part of it."""

    def __init__(self, where: str, expected: str, found: str, step: str = "") -> None:
        super().__init__(f"{where}: expected {expected}, found {found}" + (f"; {step}" if step else ""))
        self.where, self.expected, self.found, self.step = where, expected, found, step


def secret(file: str | None, credential: str | None) -> bytes | None:
    """Return what a setting NAME_file or NAME_credential names, without a newline at its end; None if neither is set.

    Raises: SecretError.
    """
    path = file if credential is None else credential_path(credential)
    if path is None:
        return None
    return read_secret(path, owners={0, os.geteuid()}).removesuffix(b"\n").removesuffix(b"\r")


def credential_path(name: str) -> str:
    """Return the file of a systemd credential. Raises: SecretError outside of a unit that has any."""
    folder = os.environ.get(CREDENTIALS, "")
    if not os.path.isabs(folder):
        step = "give it to the unit with LoadCredential= or SetCredentialEncrypted="
        raise SecretError(f"credential {name}", f"a folder in {CREDENTIALS}", "none", step)
    return os.path.join(folder, name)


def read_secret(path: str, owners: Collection[int]) -> bytes:
    """Return the bytes of a file that only its owner, one of `owners`, and his group can read. Raises: SecretError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except PermissionError as error:
        step = f"let {UPLOADER} read it: chgrp {UPLOADER}, chmod 0640, and folders above that it may enter"
        raise SecretError(path, "a file that can be read", _why(error), step) from None
    except OSError as error:
        raise SecretError(path, "a file that can be read", _why(error)) from None
    try:
        _judge(path, os.fstat(descriptor), owners)
        data = os.read(descriptor, SIZE_LIMIT + 1)
    except OSError as error:
        raise SecretError(path, "a file that can be read", _why(error)) from None
    finally:
        os.close(descriptor)
    if not 1 <= len(data) <= SIZE_LIMIT:
        raise SecretError(path, f"1 to {SIZE_LIMIT} bytes", "nothing" if not data else "more")
    return data


def _judge(path: str, facts: os.stat_result, owners: Collection[int]) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise SecretError(path, "a regular file", "something else")
    if facts.st_uid not in owners:
        raise SecretError(path, "root or the uploader as its owner", f"uid {facts.st_uid}", "use chown")
    if facts.st_mode & 0o027:
        mode = f"mode {stat.S_IMODE(facts.st_mode):04o}"
        raise SecretError(path, "a file that others cannot read nor its group write to", mode, "use chmod 0640 or 0600")


def judge_files(configuration: Configuration) -> Iterator[Judgement]:
    """Yield what is wrong with the files that sinks name, as far as this user can see; credentials are the unit's."""
    uploader = user_id(UPLOADER)
    owners = {0, os.geteuid(), *(() if uploader is None else (uploader,))}
    for number, sink in enumerate(configuration.sinks):
        if isinstance(sink, Directory):
            continue
        for setting in ("url_file", "token_file", "client_key"):
            if path := getattr(sink, setting, None):
                yield from _judge_file(("sinks", number, setting), path, owners)
        for setting in ("ca_file", "client_certificate"):
            if (path := getattr(sink, setting)) and not os.path.isfile(path):
                yield Judgement(("sinks", number, setting), "a file that is there", "none")


def _judge_file(key: tuple[str | int, ...], path: str, owners: Collection[int]) -> Iterator[Judgement]:
    try:
        _judge(path, os.stat(path), owners)
    except PermissionError:
        yield Judgement(key, "a file that this user can look at", "a closed folder", "ask as root", warning=True)
    except OSError as error:
        yield Judgement(key, "a file that is there", _why(error))
    except SecretError as error:
        yield Judgement(key, error.expected, error.found, error.step)


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
