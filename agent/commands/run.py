"""`evidenced run`: check the configuration, make the folders, and become the supervisor."""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from collections.abc import Iterator
from typing import NoReturn

from agent import users
from agent.configuration.files import configuration_file
from agent.configuration.loading import configured
from agent.places import Places, places
from collectors.catalogue import all_tables

SUPERVISOR = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "daemon", "__main__.py")
ROLES = {"collect": users.COLLECTOR, "sign": users.SIGNER, "upload": users.UPLOADER}


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = (
        "Runs until SIGTERM or SIGINT comes. SIGHUP reads the configuration again, SIGUSR1 every table now.\n"
        "Without systemd the signer and the uploader are started as child processes."
    )
    parser.add_argument("--config", metavar="FILE", help="configuration in place of the usual file")
    parser.add_argument("--state", metavar="DIR", help="state folder with log and key")
    parser.add_argument("--plan", metavar="FILE", help=argparse.SUPPRESS)  # for tests: what `_plan` would print


def run(options: argparse.Namespace) -> NoReturn:
    """Become the supervisor; does not return."""
    if options.plan is None:
        configured(options.config, all_tables())  # all problems at once, for whoever started us
    where = places(options.state)
    separate = where.system and os.geteuid() == 0 and all(users.user_id(name) is not None for name in ROLES.values())
    if os.geteuid() == 0 and not separate:
        sys.stderr.write("evidenced run: all parts run as root, so none is kept from the key; see docs/hardening.md\n")
    if not os.path.exists(where.sign_socket) or not where.system:
        _make_folders(where, separate=separate)
    words = [*_words(where, options, separate=separate), "--", *_program()]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-X", "utf8", SUPERVISOR, *words])  # noqa: S606  ourselves


def _words(where: Places, options: argparse.Namespace, *, separate: bool) -> Iterator[str]:
    """Yield the supervisor's options."""
    for name in ("state", "outbox", "cache", "run"):
        yield from (f"--{name}", getattr(where, name))
    if options.config is not None or separate:  # the parts' users have no configuration of their own
        yield from ("--config", configuration_file(options.config))
    if options.plan is not None:
        yield from ("--plan", os.path.abspath(options.plan))
    if separate:
        recorders = users.group_id(users.RECORDERS)
        for role, name in ROLES.items():
            entry = pwd.getpwnam(name)
            groups = {*os.getgrouplist(name, entry.pw_gid)}
            if role == "upload" and recorders is not None:
                groups.add(recorders)  # as its unit has it: it tells the signer what was delivered
            yield from ("--user", f"{role}={entry.pw_uid}:{entry.pw_gid}:{','.join(map(str, sorted(groups)))}")
        if recorders is not None:
            yield from ("--record-gid", str(recorders))


def _program() -> list[str]:
    """Return the words that started this program, up to its command."""
    given = len(sys.argv) - 1
    words = sys.orig_argv[: len(sys.orig_argv) - given] if given else list(sys.orig_argv)
    return [sys.executable, *words[1:]]


def _make_folders(where: Places, *, separate: bool) -> None:
    """Make the folders that systemd would make, each its owner's alone."""
    owners = {
        where.state: (users.SIGNER, users.SIGNER, 0o700),
        where.outbox: (users.SIGNER, users.UPLOADER, 0o2750),  # so that the uploader's group gets what is put there
        where.upload: (users.UPLOADER, users.UPLOADER, 0o700),
        where.cache: (users.COLLECTOR, users.COLLECTOR, 0o700),
        where.run: (None, None, 0o755 if separate else 0o700),
    }
    for path, (user, group, mode) in owners.items():
        if os.path.isdir(path):
            continue
        before = os.umask(0o077 if mode == 0o700 else 0o022)  # noqa: PLR2004
        try:
            os.makedirs(path, mode)
        finally:
            os.umask(before)
        if separate and user is not None and group is not None:
            os.chown(path, pwd.getpwnam(user).pw_uid, users.group_id(group) or pwd.getpwnam(group).pw_gid)
            os.chmod(path, mode)
