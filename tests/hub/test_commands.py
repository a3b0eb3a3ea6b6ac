"""The commands of evidenced-hub as an operator types them."""

from __future__ import annotations

import argparse
import datetime as dt
import http.client
import json
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.commands import export
from hub.commands import pack
from hub.main import COMMANDS, main
from tests.hub.agents import Agent
from tests.hub.running import NAME, ROOT, RunningHub


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: evidenced-hub {command}" in capsys.readouterr().out


def test_no_command_and_a_wrong_one_are_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys)[0] == 2
    for arguments, words in (
        (("sevre",), "COMMAND: expected one of serve, hosts, expect, token, pack, found 'sevre'; did you mean serve; "),
        (("token", "list", "--dta", "x"), "expected --data, found none; see: evidenced-hub token --help"),
        (("token", "revoke", "x", "--data", "x"), "number: expected a whole number, found 'x'; see: evidenced-hub"),
    ):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
        told = capsys.readouterr().err
        assert words in told
        assert told.count("\n") == 1


def test_a_token_is_shown_once_and_revoked_by_number(hub: RunningHub, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(hub.data)
    code, token, _ = said(capsys, "token", "new", "--data", data, "--label", "rack 7", "--uses", "1", "--days", "30")
    assert code == 0
    agent = Agent(1, "a.example")
    assert hub.enrol(agent, token.strip()).status == 201
    _, listing, _ = said(capsys, "token", "list", "--data", data)
    assert "0 left, until" in listing
    assert "rack 7" in listing
    assert token.strip() not in listing
    number = listing.split("\n")[1].split()[0]
    assert said(capsys, "token", "revoke", number, "--data", data)[0] == 0
    assert said(capsys, "token", "revoke", number, "--data", data)[0] == 3
    assert said(capsys, "token", "revoke", "--data", data)[0] == 2


def test_hosts_shows_who_reports_and_who_does_not(
    hub: RunningHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = Agent(2, "b\x1b[31m.example")
    assert hub.enrol(agent).status == 400  # no name that could write to a terminal
    agent.name = "b.example"
    hub.enrol(agent)
    agent.append(2, rows=2)
    hub.send(agent.batch(tmp_path, with_blobs=False))
    (tmp_path / "list").write_text("# of the test\nb.example\nnever.example\n")
    assert said(capsys, "expect", str(tmp_path / "list"), "--data", str(hub.data))[0] == 0
    assert said(capsys, "expect", "--data", str(hub.data))[1] == "b.example\nnever.example\n"
    code, out, _ = said(capsys, "hosts", "--data", str(hub.data), "--json")
    found = {each["name"]: each for each in map(json.loads, out.splitlines())}
    assert code == 3
    assert (found["b.example"]["state"], found["b.example"]["size"]) == ("reporting", 3)
    assert found["b.example"]["missing"] > 0
    assert found["b.example"]["fingerprint"] == agent.key.public.fingerprint
    assert (found["never.example"]["state"], found["never.example"]["expected"]) == ("never", True)
    _, table, _ = said(capsys, "hosts", "--data", str(hub.data))
    assert table.startswith("HOST ")
    assert any(line.split()[:3] == ["never.example", "never", "never"] for line in table.split("\n"))


def test_a_pack_over_all_hosts_is_written_beside_the_running_hub(
    own_hub: RunningHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent, silent = Agent(3, "c.example"), Agent(4, "d.example")
    agent.append(3, every=3 * 1440)
    silent.append()
    for each in (agent, silent):
        own_hub.enrol(each)
        own_hub.send(each.batch(tmp_path))
    (tmp_path / "list").write_text("c.example\nd.example\n")
    said(capsys, "expect", str(tmp_path / "list"), "--data", str(own_hub.data))
    pack = ["pack", "--data", str(own_hub.data), "--since", "2026-01-03", "--until", "2026-01-31"]
    code, out, err = said(capsys, *pack, "-o", str(tmp_path / "fleet.tar"), "--org", "ACME")
    assert code == 3  # the other is missing
    assert "hosts    " in out
    assert "d.example: silent since 2026-01-01" in err
    verify = [sys.executable, str(ROOT / "evidence" / "verify.py"), str(tmp_path / "fleet.tar")]
    checked = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert checked.returncode == 3
    assert "c.example" in checked.stdout
    assert said(capsys, *pack, "-o", str(tmp_path / "fleet.tar"))[0] == 3  # it stands there
    assert said(capsys, *pack, "-o", str(tmp_path / "fleet.zip"))[0] == 2
    assert said(capsys, *pack[:-1], "2025-01-01", "-o", str(tmp_path / "x.tar"))[0] == 2
    assert said(capsys, *pack[:-1], "2026-02-31", "-o", str(tmp_path / "x.tar"))[0] == 2


def test_the_organisation_has_one_name_and_the_longer_one_is_taken_too() -> None:
    for command, own in ((pack, ["--data", "d", "--since", "s", "--until", "u", "-o", "o"]), (export, [])):
        parser = argparse.ArgumentParser()
        command.declare(parser)
        for option in ("--org", "--organisation"):
            assert parser.parse_args([*own, option, "ACME"]).org == "ACME"
        assert "--organisation" not in parser.format_help()


def test_a_name_that_the_keys_did_not_sign_as_is_said_once(
    own_hub: RunningHub, capsys: pytest.CaptureFixture[str]
) -> None:
    own_hub.stop()
    other = ["--name", "other.example", "--listen", "127.0.0.1:0"]
    code, _, err = said(capsys, "serve", "--data", str(own_hub.data), *other)
    assert code == 3
    assert err.startswith(f"evidenced-hub serve: --name: expected {NAME}, as which these keys have signed, found other")


def test_the_folder_of_no_hub_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o700)
    code, _, err = said(capsys, "hosts", "--data", str(tmp_path))
    assert code == 3
    assert "expected the folder of a hub" in err
    assert said(capsys, "hosts", "--data", str(tmp_path / "none"))[0] == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--listen", "0.0.0.0:0"), "expected TLS or a loopback address"),
        (("--listen", "nowhere"), "expected HOST:PORT"),
        (("--listen", "127.0.0.1:99999"), "expected HOST:PORT"),
        (("--tls-key", "x"), "expected --tls-certificate and --tls-key together"),
        (("--per-peer", "0"), "expected a positive number"),
        (
            ("--token-file", "no/such/file"),
            "no/such/file: expected a file or folder, found no such file or directory; ",
        ),
    ],
)
def test_wrong_options_of_serve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    code, _, err = said(capsys, "serve", "--data", str(tmp_path / "data"), "--name", "h.example", *options)
    assert code in (2, 3)
    assert words in err


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "x" * 300])
def test_a_name_that_no_note_can_carry_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert said(capsys, "serve", "--data", str(tmp_path / "data"), "--name", name, "--listen", "127.0.0.1:0")[0] == 3


def test_the_name_is_chosen_once(tmp_path: Path) -> None:
    hub = RunningHub(tmp_path / "data", name="one.example").start()
    assert hub.stop() == 0
    with pytest.raises(AssertionError, match=r"expected one\.example, as which these keys have signed, found two"):
        RunningHub(tmp_path / "data", name="two.example").start()


def test_a_token_file_that_others_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tokens"
    path.write_text("secret-token-0123456789\n")
    path.chmod(0o644)
    code, _, err = said(capsys, "serve", "--data", str(tmp_path / "d"), "--name", "h", "--token-file", str(path))
    assert code == 3
    assert "secret" not in err


def test_keys_and_folders_are_for_the_hub_alone(hub: RunningHub) -> None:
    for path in (hub.data, hub.data / "keys", hub.data / "blobs"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for name in ("storage.pem", "witness.pem"):
        assert stat.S_IMODE((hub.data / "keys" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((hub.data / "hub.sqlite").stat().st_mode) & 0o077 == 0


def certificate(folder: Path, name: str, issuer: str | None = None) -> None:
    """Write NAME.pem and NAME.key; signed by another one, or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by, signer, authority = called, key, key.public_key()
    if issuer is not None:
        by = x509.load_pem_x509_certificate((folder / f"{issuer}.pem").read_bytes()).subject
        loaded = serialization.load_pem_private_key((folder / f"{issuer}.key").read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer, authority = loaded, loaded.public_key()
    now = dt.datetime.now(dt.timezone.utc)
    builder = x509.CertificateBuilder(
        by, called, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(1)
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    if issuer is None:
        usage = dict.fromkeys(("key_cert_sign", "crl_sign", "digital_signature"), True)
        never = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        usage |= dict.fromkeys((*never, "encipher_only", "decipher_only"), False)
        builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    about = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority)  # Python 3.13 asks for it, as RFC 5280 does
    builder = builder.add_extension(about, critical=False)
    (folder / f"{name}.pem").write_bytes(builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / f"{name}.key").write_bytes(private)


def asked(port: int, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
    try:
        connection.request("GET", "/v1/hub")
        return connection.getresponse().status
    finally:
        connection.close()


def test_with_a_client_authority_only_its_clients_are_served(tmp_path: Path) -> None:
    certificate(tmp_path, "authority")
    for name in ("server", "client"):
        certificate(tmp_path, name, "authority")
    certificate(tmp_path, "stranger")
    options = ("--tls-certificate", "server.pem", "--tls-key", "server.key", "--client-ca", "authority.pem")
    paths = [each if each.startswith("--") else str(tmp_path / each) for each in options]
    hub = RunningHub(tmp_path / "data", *paths).start()
    try:
        context = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
        context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
        assert asked(hub.port, context) == 200
        for mine in (None, "stranger"):
            context = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
            if mine:
                context.load_cert_chain(tmp_path / f"{mine}.pem", tmp_path / f"{mine}.key")
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
                asked(hub.port, context)
        old = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
        old.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        assert asked(hub.port, old) == 200
    finally:
        hub.stop()
    assert NAME in hub.log_text()


def test_a_certificate_that_cannot_be_read_is_said_plainly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.pem").write_text("no certificate\n")
    options = ("--tls-certificate", str(tmp_path / "x.pem"), "--tls-key", str(tmp_path / "x.pem"))
    code, _, err = said(capsys, "serve", "--data", str(tmp_path / "d"), "--name", "h", *options)
    assert code == 3
    assert "expected a certificate and its key" in err
