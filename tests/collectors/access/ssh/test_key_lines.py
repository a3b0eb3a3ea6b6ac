from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.access.ssh.key_lines import (
    KeyLine,
    PrincipalLine,
    parse_authority_line,
    parse_key_line,
    parse_principal_line,
)
from collectors.access.ssh.key_options import Option
from collectors.contract import MalformedError
from tests.collectors.access.ssh.keygen import KINDS, certified, listed, made, on_token, renamed

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
FINGERPRINT = "SHA256:lbmsoA0yIEcEiVDRnMWuzm+nV+3ZEEpVIURqFoeSspg"


def parsed(text: str) -> KeyLine:
    line = parse_key_line(text)
    assert line is not None
    return line


def test_a_bare_key_has_its_comment_and_no_options() -> None:
    line = parsed(f"{KEY} someone's laptop \r")
    assert (line.key.fingerprint, line.comment, line.options) == (FINGERPRINT, "someone's laptop", ())
    assert line.refused is None


def test_options_stand_before_the_type() -> None:
    line = parsed(f'restrict,command="/bin/echo a  b" \t{KEY}')
    assert line.options == (Option("restrict"), Option("command", "/bin/echo a  b"))
    assert line.comment == ""


@pytest.mark.parametrize("text", ["", "   ", "\t", "# ssh-ed25519 AAAA", "   # x", "\r"])
def test_empty_lines_and_comments_are_passed_over(text: str) -> None:
    assert parse_key_line(text) is None
    assert parse_authority_line(text) is None
    assert parse_principal_line(text) is None


def test_a_key_whose_options_sshd_refuses_is_kept_with_the_reason() -> None:
    line = parsed(f"hunter2 {KEY}")
    assert line.key.fingerprint == FINGERPRINT
    assert line.options == ()
    assert line.refused == "options: expected an option that sshd(8) lists, found another word"


def test_principals_without_an_authority_are_refused_as_sshd_does() -> None:
    assert parsed(f'principals="root" {KEY}').refused is not None
    assert parsed(f'cert-authority,principals="root" {KEY}').refused is None


def test_an_authority_file_has_no_options() -> None:
    assert parse_authority_line(KEY) == parse_key_line(KEY)
    with pytest.raises(MalformedError):
        parse_authority_line(f"cert-authority {KEY}")


ODD_LINES = {
    "bare": f"{KEY} comment",
    "no comment": KEY,
    "tabs": KEY.replace(" ", "\t"),
    "many blanks": KEY.replace(" ", "   "),
    "leading blanks": f"  \t{KEY}",
    "carriage return": f"{KEY}\r",
    "options": f"no-pty {KEY}",
    "blanks in quotes": f'command="a b c" {KEY}',
    "escaped quotes": f'command="echo \\"a b\\" c" {KEY}',
    "a key in a quoted option": f'command="{KEY}" {KEY}',
    "quote not closed": f'command="a b {KEY}',
    "stray quote": f'no-pty" {KEY}',
    "options and no key": "no-pty,no-user-rc",
    "unknown option": f"no-such-thing {KEY}",
    "two option words": f"no-pty no-user-rc {KEY}",
    "type of another key": KEY.replace("ssh-ed25519", "ssh-rsa"),
    "type in capitals": KEY.replace("ssh-ed25519", "SSH-ED25519"),
    "type twice": f"ssh-rsa {KEY}",
    "short name inside": f"ssh-ed25519 {renamed(KEY, 'ED25519')}",
    "short name inside in small letters": f"ssh-ed25519 {renamed(KEY, 'ed25519')}",
    "short name of another type inside": f"ssh-ed25519 {renamed(KEY, 'RSA')}",
    "short name before": f"ED25519 {KEY.split()[1]}",
    "name of a signature before another type": f"rsa-sha2-512 {KEY.split()[1]}",
    "base64 cut": KEY[:-3],
    "base64 with garbage": KEY + "=",
    "base64 glued to a comment": KEY + "#comment",
    "only a type": "ssh-ed25519",
    "a private key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "protocol 1": "1024 35 1234567890 old@host",
    "shadow": "root:$6$salt$hash:19000:0:99999:7:::",
    "comment": f"# {KEY}",
    "comment that is no comment": f"#{KEY}",
    "semicolon": f"; {KEY}",
    "latin-1": f"{KEY} J\udcfcrgen",
    "vertical tab in base64": KEY[:40] + "\v" + KEY[40:],
}


@pytest.mark.needs_program("ssh-keygen")
@pytest.mark.parametrize("text", ODD_LINES.values(), ids=ODD_LINES.keys())
def test_a_line_is_a_key_exactly_if_ssh_keygen_lists_one(tmp_path: Path, text: str) -> None:
    # A first line of its own, since ssh-keygen takes a file that begins with a private key for one.
    path = tmp_path / "keys"
    path.write_text(f"#\n{text}\n", errors="surrogateescape")
    try:
        line = parse_key_line(text)
    except MalformedError:
        line = None
    ours = [] if line is None else [(line.key.bits, line.key.fingerprint)]
    assert ours == [(each.bits, each.fingerprint) for each in listed(path)]


@pytest.mark.needs_program("ssh-keygen")
def test_a_file_of_every_kind_of_key_is_listed_as_ssh_keygen_lists_it(tmp_path: Path) -> None:
    public = [made(tmp_path, kind, bits) for kind, bits in KINDS]
    authority = public[-1]
    public += [certified(authority, each) for each in public[1:-1]]
    heads = ["", "restrict ", 'from="10.0.0.0/8",command="a \\"b\\" c" ', "cert-authority,no-pty "]
    lines = [head + each.read_text().strip() for each in public for head in heads]
    path = tmp_path / "authorized_keys"
    path.write_text("\n".join(lines))
    ours = [parsed(each).key for each in lines]
    assert [(each.bits, each.fingerprint) for each in ours] == [(each.bits, each.fingerprint) for each in listed(path)]


@pytest.mark.needs_program("ssh-keygen")
def test_a_certificate_in_place_of_a_key_is_a_row_that_sshd_passes_over(tmp_path: Path) -> None:
    key = made(tmp_path, "ed25519", 256)
    line = parsed(certified(key, key).read_text())
    assert line.key.certificate
    assert line.refused is not None


@pytest.mark.needs_program("ssh-keygen")
def test_the_name_of_a_signature_stands_for_the_type_of_the_key(tmp_path: Path) -> None:
    key = made(tmp_path, "rsa", 2048)
    token = on_token(made(tmp_path, "ecdsa", 256).read_text())
    certificate = certified(key, key).read_text()
    lines = {
        f"{before} {renamed(plain, within)}": plain
        for before, within, plain in (
            ("rsa-sha2-256", "ssh-rsa", key.read_text()),
            ("ssh-rsa", "rsa-sha2-512", key.read_text()),
            ("rsa-sha2-512-cert-v01@openssh.com", "ssh-rsa-cert-v01@openssh.com", certificate),
            ("webauthn-sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", token),
        )
    }
    (tmp_path / "keys").write_text("\n".join(lines))
    assert [parsed(each).key for each in lines] == [parsed(each).key for each in lines.values()]
    ours = [parsed(each).key.fingerprint for each in lines]
    assert ours == [each.fingerprint for each in listed(tmp_path / "keys")]


def test_the_last_word_of_a_principals_line_is_the_name() -> None:
    assert parse_principal_line("  deploy  # the robot") == PrincipalLine("deploy")
    assert parse_principal_line('from="10.0.0.0/8",command="a b" deploy') == PrincipalLine(
        "deploy", (Option("from", "10.0.0.0/8"), Option("command", "a b"))
    )


def test_a_principal_with_bad_options_is_kept_with_the_reason() -> None:
    line = parse_principal_line("hunter2 deploy")
    assert line is not None
    assert (line.name, line.options) == ("deploy", ())
    assert line.refused is not None
    assert "hunter2" not in line.refused


def test_a_name_before_an_open_quote_is_malformed() -> None:
    with pytest.raises(MalformedError):
        parse_principal_line('command="a b deploy')


@pytest.mark.parametrize("parse", [parse_key_line, parse_authority_line, parse_principal_line])
@given(text=st.text(max_size=200) | st.text(alphabet='ssh-rda25519 AC3Nz"\\,=\t\0', max_size=200))
def test_any_text_gives_a_line_or_our_error(parse: Callable[[str], object], text: str) -> None:
    with contextlib.suppress(MalformedError):
        parse(text)


def test_a_line_of_a_megabyte_takes_no_more_than_linear_time() -> None:
    assert parsed("pty," * 250_000 + f" {KEY}").key.fingerprint == FINGERPRINT
    for text in ("A" * (1 << 20), '"' + "\\" * (1 << 20), " " * (1 << 20) + "x", "ssh-rsa " + "A" * (1 << 20)):
        with pytest.raises(MalformedError):
            parse_key_line(text)
