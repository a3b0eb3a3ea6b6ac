from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from collectors.access.ssh.effective import effective_settings
from collectors.access.ssh.effective_output import parse_effective
from collectors.access.ssh.match_block import Person, concerns
from collectors.access.ssh.sshd_config import Directive, read_configuration
from collectors.contract import MalformedError
from collectors.reading.host import Host
from tests.collectors.access.ssh.server import Server, write_tree

Values = dict[str, tuple[str, ...]]

MAIN = "etc/ssh/sshd_config"
# Once in each configuration here: what these print depends on more than their own directives.
ADDRESSES = {"port", "listenaddress", "hostkey"}


@pytest.fixture
def theirs(server: Server) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=server.folder) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def directives(root: Path) -> list[Directive]:
    configuration = read_configuration(Host(str(root), secret=b""))
    assert configuration.gaps == []
    return configuration.directives


def values(found: list[Directive]) -> Values:
    """Return the values of the global section as `sshd -T` would print them."""
    result: Values = {}
    for each in effective_settings(found):
        if not each.scope:
            result[each.name] = (*result.get(each.name, ()), each.value)
    return result


def for_user(found: list[Directive], name: str) -> Values:
    """Return the values for a user's connection: those of Match blocks that hold, over the global ones."""
    person = Person(name, frozenset())
    inside = [each for each in found if each.scope and concerns(each.scope, person, frozenset()) == "yes"]
    return {**values(found), **values([replace(each, scope=()) for each in inside])}


REAL = {
    "debian": {
        MAIN: "Include ROOT/etc/ssh/sshd_config.d/*.conf\n"
        "KbdInteractiveAuthentication no\nUsePAM yes\nX11Forwarding yes\nPrintMotd no\n"
        "AcceptEnv LANG LC_*\nSubsystem sftp /usr/lib/openssh/sftp-server\n",
        "etc/ssh/sshd_config.d/50-cloud-init.conf": "PasswordAuthentication yes\n",
        "etc/ssh/sshd_config.d/99-hardening.conf": "PasswordAuthentication no\nPermitRootLogin no\n",
    },
    "red hat": {
        MAIN: "Include ROOT/etc/ssh/sshd_config.d/*.conf\n\nAuthorizedKeysFile\t.ssh/authorized_keys\n"
        "Subsystem\tsftp\t/usr/libexec/openssh/sftp-server\n",
        "etc/ssh/sshd_config.d/40-policy.conf": "Include ROOT/etc/crypto-policies/opensshserver.config\n",
        "etc/ssh/sshd_config.d/50-redhat.conf": "SyslogFacility AUTHPRIV\nChallengeResponseAuthentication no\n"
        "GSSAPIAuthentication yes\nGSSAPICleanupCredentials no\nUsePAM yes\nX11Forwarding yes\nPrintMotd no\n",
        "etc/crypto-policies/opensshserver.config": "Ciphers aes256-gcm@openssh.com,aes128-ctr\n"
        "MACs hmac-sha2-256\nPubkeyAcceptedKeyTypes ssh-ed25519,rsa-sha2-256\n",
    },
    "by hand": {
        MAIN: '  port = 2222   # not 22\nLISTENADDRESS "127.0.0.1"\nhostkey=ROOT/etc/ssh/key\n'
        "AllowUsers alice bob@10.0.0.0/8\nDenyUsers 'mallory' # out\nAllowUsers carol\nAllowGroups ssh-users\n"
        "LoginGraceTime 30\nMaxAuthTries 3\nMaxAuthTries 5\nBanner none\nBanner /etc/issue.net\n"
        "AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/keys/%u\nAuthorizedKeysFile none\n"
        "AuthenticationMethods publickey,password publickey,keyboard-interactive\nPermitOpen 10.0.0.1:80 10.0.0.2:443\n"
        'SetEnv A=1 B=two\nSetEnv C=3\nAcceptEnv X_*\nAcceptEnv Y_*\nForceCommand /bin/echo "a  b" # c\n'
        "TCPKeepAlive no\nKeepAlive yes\nVersionAddendum none\nSubsystem a internal-sftp -l INFO\nSubsystem b /bin/b\n"
        "AuthorizedKeysCommand /bin/keys %u %k\nAuthorizedKeysCommandUser nobody\nRekeyLimit 1073741824 3600\n",
    },
}


@pytest.mark.needs_program("sshd", "ssh-keygen")
@pytest.mark.parametrize("files", REAL.values(), ids=REAL.keys())
def test_the_values_that_count_are_those_of_sshd(
    server: Server, theirs: Path, tmp_path: Path, files: dict[str, str]
) -> None:
    main = write_tree(files, tmp_path, theirs)
    (theirs / "empty").touch()
    defaults = server.settings(theirs / "empty")
    said = server.settings(main)
    ours = values(directives(tmp_path))
    assert {name: said[name] for name in ours if name not in ADDRESSES} == {
        name: value for name, value in ours.items() if name not in ADDRESSES
    }
    changed = {name for name in said if said[name] != defaults.get(name)}
    assert changed <= set(ours) | {"listenaddress"}


POOL = [
    ("AcceptEnv", ["LANG", "LC_*", "A B", "C"]),
    ("AllowUsers", ["alice", "bob carol", "d*"]),
    ("AuthorizedKeysFile", ["none", "a b", "/etc/keys/%u", "c"]),
    ("Banner", ["/etc/issue", "/etc/motd", "none"]),
    ("ForceCommand", ["/bin/a", "/bin/b c # d", "none"]),
    ("LogLevel", ["VERBOSE", "ERROR", "DEBUG3"]),
    ("MaxSessions", ["1", "2", "3"]),
    ("PasswordAuthentication", ["yes", "no"]),
    ("PermitOpen", ["any", "a:1 b:2", "c:3"]),
    ("PermitRootLogin", ["yes", "no", "forced-commands-only"]),
    ("PermitTTY", ["yes", "no"]),
    ("SetEnv", ["A=1 B=2", "C=3"]),
    ("TrustedUserCAKeys", ["/etc/ca", "/etc/ca2", "none"]),
]
CONDITIONS = ["User alice", "User bob", "User a*,!alice", "User=bob", "All", "User *,!bob", "User bob User b*"]


def written(source: random.Random, depth: int, names: Iterator[int], files: dict[str, str]) -> str:
    """Return the text of one file of a random configuration; the files it includes are added to `files`."""
    lines = []
    for _ in range(source.randint(1, 7)):
        kind = source.random()
        if kind < 0.25:
            lines.append(f"Match {source.choice(CONDITIONS)}")
        elif kind < 0.5 and depth < 3:
            folder = f"etc/ssh/d{next(names)}"
            for each in source.sample(("10-b.conf", "2-a.conf", "Z.conf"), source.randint(0, 2)):
                files[f"{folder}/{each}"] = written(source, depth + 1, names, files)
            lines.append(f"Include ROOT/{folder}/*.conf")
        else:
            name, choices = source.choice(POOL)
            lines.append(f"{name} {source.choice(choices)}")
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.needs_program("sshd", "ssh-keygen")
@pytest.mark.parametrize("seed", range(60))
def test_include_and_match_nest_as_in_sshd(server: Server, theirs: Path, tmp_path: Path, seed: int) -> None:
    files: dict[str, str] = {}
    source = random.Random(seed)  # noqa: S311  a test is to be repeated, not to be guessed
    files[MAIN] = written(source, 0, iter(range(1000)), files)
    main = write_tree(files, tmp_path, theirs)
    found = directives(tmp_path)
    for name in ("alice", "bob", "zoe"):
        ours = for_user(found, name)
        said = server.settings(main, f"user={name},host=h,addr=192.0.2.1")
        assert {each: said.get(each) for each in ours} == ours, name


def test_two_match_blocks_of_one_condition_are_one(tmp_path: Path) -> None:
    write_tree({MAIN: "Match User bob\nPermitTTY no\nMatch User bob\nPermitTTY yes\n"}, tmp_path, tmp_path / "t")
    (setting,) = effective_settings(directives(tmp_path))
    assert (setting.value, setting.directive.line) == ("no", 2)


def test_what_counts_differently_by_version_is_kept_whole(tmp_path: Path) -> None:
    write_tree({MAIN: "IPQoS ef\nMaxStartups 5\nIPQoS af21 cs1\n"}, tmp_path, tmp_path / "t")
    assert values(directives(tmp_path)) == {"ipqos": ("ef", "af21 cs1"), "maxstartups": ("5",)}


def test_an_older_name_stays_where_the_server_has_it_as_a_setting_of_its_own(tmp_path: Path) -> None:
    text = "ChallengeResponseAuthentication no\nKbdInteractiveAuthentication yes\n"
    write_tree({MAIN: text}, tmp_path, tmp_path / "t")
    found = directives(tmp_path)
    assert values(found) == {"kbdinteractiveauthentication": ("no",)}
    older = frozenset({"challengeresponseauthentication", "kbdinteractiveauthentication"})
    assert {each.name: each.value for each in effective_settings(found, older)} == {
        "challengeresponseauthentication": "no",
        "kbdinteractiveauthentication": "yes",
    }


def test_output_of_sshd_is_read_line_by_line() -> None:
    assert parse_effective(b"port 22\nacceptenv A\nacceptenv B\npermitopen any\nbanner \n") == {
        "port": ("22",),
        "acceptenv": ("A", "B"),
        "permitopen": ("any",),
        "banner": ("",),
    }


@pytest.mark.parametrize("output", [b"", b"\n", b"Usage: sshd\n", b"port 22\n-x\n", b"\x80\n"])
def test_other_output_is_malformed(output: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_effective(output)
