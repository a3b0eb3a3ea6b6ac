"""Whether the real sshd lets someone in by a line is whether the line is a key that is not refused."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.access.ssh.key_lines import parse_key_line
from collectors.access.ssh.key_paths import Account
from collectors.access.ssh.match_block import Person
from collectors.access.ssh.strict_modes import owner_ok
from collectors.contract import MalformedError
from collectors.reading.host import Host
from tests.collectors.access.ssh.keygen import renamed, ssh_keygen
from tests.conftest import program

# A login without a shell that every Debian has; sshd runs as this user too, so that it needs nothing of the host.
USER = "daemon"

CONFIG = """\
AuthorizedKeysFile {folder}/deep/keys
StrictModes {strict}
UsePAM no
PidFile none
"""

QUIET = ["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no"]
NO_HOSTS = ["-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null"]

HEADS = [
    "",
    "restrict ",
    "Restrict,no-PTY,pty ",
    "no-touch-required,verify-required ",
    ",pty,,user-rc, ",
    'command="echo \\"a b\\"" ',
    'command="a b",environment="A_1=x y" ',
    'environment="=x" ',
    'expiry-time="29991231",tunnel="any" ',
    'expiry-time="29990231235959Z" ',
    'permitopen="host:80",permitlisten="8080" ',
    'permitopen="[::1]:80",permitopen="host:*",permitopen="host:ssh",permitopen=":80" ',
    'permitlisten="localhost:1",permitlisten="*",permitlisten="ssh" ',
    "\t pty \t ",
    'permitopen="host/80",permitopen="[::1]/80",permitopen="h: 80",permitopen="h:+80",permitopen="h:000080" ',
    'permitlisten="000080",permitlisten=" 80",permitlisten="h: 80" ',
    'tunnel=" 5",tunnel="+5",tunnel="00000000001",tunnel="2147483645" ',
    'environment="' + "A" * 300 + '=x" ',
    'expiry-time="2999 1 1",expiry-time="2999123123 0",expiry-time="29991231235960",expiry-time="99991231235961" ',
    'expiry-time="2999\t1\t1" ',
    'permitopen="' + "h" * 1024 + ':80" ',
    'tunnel="x" ',
    'tunnel="2147483646" ',
    'from="" ',
    'from="!10.0.0.1" ',
    'permitopen="[a]b:80" ',
    'permitopen="' + "h" * 1025 + ':80" ',
    'expiry-time="29990101235962" ',
    "\r",
    'tunnel="0" ',
    'permitopen="host" ',
    'permitopen="host:0" ',
    'permitopen="host:65536" ',
    'permitopen="a/b:80" ',
    'permitopen="::1:80" ',
    'permitlisten="0" ',
    "hunter2 ",
    "ptyx ",
    "no-restrict ",
    "pty user-rc ",
    "command=x ",
    'command="x ',
    'command="a",command="b" ',
    'from="*",from="*" ',
    'environment="A B=x" ',
    'expiry-time="tomorrow" ',
    'expiry-time="29991301" ',
    'principals="a" ',
    'pty" ',
    "ssh-rsa ",
    "# ",
]


class Login:
    """A folder with a key, and an sshd that a client starts for itself: no port is opened."""

    def __init__(self, folder: Path, *, strict: bool = False, kind: str = "ed25519") -> None:
        self._folder = folder
        self._user = pwd.getpwnam(USER)
        self.keys = folder / "deep/keys"
        self.keys.parent.mkdir()
        folder.chmod(0o755)
        for name in ("key", "host"):
            ssh_keygen("-q", "-t", kind, "-N", "", "-f", str(folder / name)).check_returncode()
            os.chown(folder / name, self._user.pw_uid, self._user.pw_gid)
        (folder / "config").write_text(CONFIG.format(folder=folder, strict="yes" if strict else "no"))
        self.key = (folder / "key.pub").read_text().strip()

    def succeeds(self, line: str) -> bool:
        """Return whether sshd lets the key in with this line as the only one."""
        folder = self._folder
        self.keys.write_text(line + "\n")
        (folder / "log").write_text("")
        os.chown(folder / "log", self._user.pw_uid, self._user.pw_gid)
        server = f"{program('sshd')} -i -E {folder}/log -f {folder}/config -h {folder}/host"
        client = subprocess.run(
            [
                str(program("ssh")),
                *QUIET,
                *NO_HOSTS,
                "-i",
                f"{folder}/key",
                "-o",
                f"ProxyCommand={server}",
                f"{USER}@x",
                ":",
            ],
            capture_output=True,
            check=False,
            timeout=60,
            user=self._user.pw_uid,
            group=self._user.pw_gid,
            extra_groups=[],
            env={"PATH": os.defpath, "HOME": "/nonexistent"},
        )
        accepted = "Accepted publickey" in (folder / "log").read_text()
        assert accepted != (b"Permission denied" in client.stderr), client.stderr
        return accepted


@pytest.fixture
def strict() -> Iterator[Login]:
    with tempfile.TemporaryDirectory(dir="/run") as folder:  # /tmp is for everyone to write: nothing in it is safe
        yield Login(Path(folder), strict=True)


@pytest.fixture(scope="module")
def login() -> Iterator[Login]:
    with tempfile.TemporaryDirectory() as folder:
        yield Login(Path(folder))


@pytest.fixture(scope="module")
def rsa() -> Iterator[Login]:
    with tempfile.TemporaryDirectory() as folder:
        yield Login(Path(folder), kind="rsa")


@pytest.mark.slow
@pytest.mark.needs_root
@pytest.mark.needs_program("sshd", "ssh", "ssh-keygen")
@pytest.mark.parametrize("head", HEADS)
def test_a_line_lets_someone_in_exactly_if_it_is_a_key_that_is_not_refused(login: Login, head: str) -> None:
    text = head + login.key
    try:
        line = parse_key_line(text)
    except MalformedError:
        line = None
    assert login.succeeds(text) == (line is not None and line.refused is None)


@pytest.mark.needs_root
@pytest.mark.needs_program("sshd", "ssh", "ssh-keygen")
@pytest.mark.parametrize("before", ["rsa-sha2-512", "ssh-rsa", "pty rsa-sha2-256"])
@pytest.mark.parametrize("within", ["ssh-rsa", "rsa-sha2-256", "Rsa"])
def test_a_key_opens_by_the_name_of_its_signature_too_and_is_the_same_key(rsa: Login, before: str, within: str) -> None:
    plain = parse_key_line(rsa.key)
    text = f"{before} {renamed(rsa.key, within)}"
    line = parse_key_line(text)
    assert plain is not None
    assert line is not None
    assert line.key == plain.key
    assert rsa.succeeds(text)


@pytest.mark.needs_root
@pytest.mark.needs_program("sshd", "ssh", "ssh-keygen")
def test_what_follows_a_nul_is_not_there_for_sshd(login: Login) -> None:
    assert login.succeeds(f"{login.key} x\0y")
    assert not login.succeeds(f"\0{login.key}")


@pytest.mark.needs_root
@pytest.mark.needs_program("sshd", "ssh", "ssh-keygen")
@pytest.mark.parametrize(
    ("owner", "mode", "folder_owner", "folder_mode"),
    [
        (0, 0o644, 0, 0o755),
        (1, 0o600, 1, 0o700),
        (1, 0o600, 0, 0o755),
        (2, 0o644, 0, 0o755),
        (0, 0o664, 0, 0o755),
        (0, 0o646, 0, 0o755),
        (0, 0o644, 2, 0o755),
        (0, 0o644, 0, 0o775),
        (0, 0o644, 0, 0o1777),
    ],
)
def test_a_file_is_safe_exactly_if_strict_modes_let_someone_in(
    strict: Login, owner: int, mode: int, folder_owner: int, folder_mode: int
) -> None:
    user = pwd.getpwnam(USER)
    strict.keys.touch()
    for path, uid, bits in ((strict.keys, owner, mode), (strict.keys.parent, folder_owner, folder_mode)):
        os.chown(path, uid, 0)
        path.chmod(bits)
    host = Host("/", secret=b"")
    account = Account(Person(USER, frozenset()), user.pw_uid, user.pw_dir)
    safe = owner_ok(host, str(strict.keys), host.look(str(strict.keys)), account, "/run")
    assert strict.succeeds(strict.key) == safe
