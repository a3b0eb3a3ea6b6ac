"""Secrets are read from where nobody else reads them, and told to nobody."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from agent.configuration.loading import load, take_judgements
from agent.configuration.model import HttpPut
from agent.configuration.secrets import SIZE_LIMIT, SecretError, judge_files, read_secret, secret
from agent.delivery.errors import SettingsError
from agent.delivery.opening import token_of
from tests.agent.command_line import Evidenced
from tests.agent.configuration.conftest import Writing

CANARY = b"canary-token"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_bytes(CANARY + b"\n")
    file.chmod(0o600)
    return file


def refusal(path: Path, owner: int | None = None) -> str:
    with pytest.raises(SecretError) as caught:
        read_secret(str(path), {os.geteuid() if owner is None else owner})
    assert CANARY.decode() not in str(caught.value)
    return str(caught.value)


def test_a_newline_at_the_end_is_no_part_of_a_secret(token: Path) -> None:
    assert secret(str(token), None) == CANARY
    token.write_bytes(CANARY + b"\r\n")
    assert secret(str(token), None) == CANARY
    assert secret(None, None) is None


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o644, 0o666, 0o601])
def test_a_secret_that_others_can_reach_is_not_used(token: Path, mode: int) -> None:
    token.chmod(mode)
    assert f"mode {mode:04o}; use chmod 0640 or 0600" in refusal(token)


def test_a_file_that_is_closed_to_the_uploader_is_named_with_what_to_do(
    token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    sink = HttpPut(name="archive", url="https://store.example/", token_file=str(token))
    with pytest.raises(SettingsError) as told:
        token_of(sink)
    assert str(told.value).startswith(f"archive: token: {token}: expected a file that can be read, found permission")
    assert "chgrp evidenced-upload" in str(told.value)


def test_its_group_may_read_it(token: Path) -> None:
    token.chmod(0o640)
    assert secret(str(token), None) == CANARY


def test_a_secret_of_somebody_else_is_not_used(token: Path) -> None:
    assert f"found uid {os.geteuid()}" in refusal(token, owner=os.geteuid() + 1)


@pytest.mark.parametrize(("content", "found"), [(b"", "found nothing"), (b"x" * (SIZE_LIMIT + 1), "found more")])
def test_a_secret_has_a_size(token: Path, content: bytes, found: str) -> None:
    token.write_bytes(content)
    assert found in refusal(token)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "expected a regular file" in refusal(tmp_path / "pipe")
    assert "no such file" in refusal(tmp_path / "nothing")


def test_a_credential_is_read_from_the_units_folder(token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(token.parent))
    assert secret(None, "token") == CANARY
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(SecretError, match="expected a folder in CREDENTIALS_DIRECTORY, found none"):
        secret(None, "token")


@pytest.mark.parametrize("name", ["../token", "a/b", ".hidden", "", "a b"])
def test_a_credential_is_a_plain_name(written: Writing, name: str) -> None:
    text = f'[[sinks]]\nname = "a"\ntype = "hub"\nurl = "https://a"\ntoken_credential = "{name}"\n'
    (problem,) = load(str(written(text))).problems
    assert "expected the name of a systemd credential" in str(problem)


def sink(**settings: object) -> str:
    usual = '[[sinks]]\nname = "a"\ntype = "http-put"\nurl = "https://a.example"\n'
    return usual + "".join(f'{name} = "{value}"\n' for name, value in settings.items())


def test_the_files_of_a_sink_are_judged_without_reading_them(written: Writing, token: Path) -> None:
    token.chmod(0o644)
    loaded = load(str(written(sink(token_file=token, ca_file="/none.pem"))))
    take_judgements(loaded, judge_files(loaded.configuration))
    assert [str(each).partition(": ")[2] for each in loaded.problems] == [
        (
            "sinks[0].token_file: expected a file that others cannot read nor its group write to, found mode 0644; "
            "use chmod 0640 or 0600"
        ),
        "sinks[0].ca_file: expected a file that is there, found none",
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"token_file": "/a", "token_credential": "a"}, "token_file or token_credential, found both"),
        ({"client_certificate": "/a"}, "client_key or client_key_credential beside client_certificate, found none"),
        ({"client_key": "/a"}, "client_certificate beside its key, found none"),
        ({"client_certificate": "/a", "client_key": "/a", "client_key_credential": "a"}, "found both"),
        ({"url_file": "/a"}, "one of url, url_file and url_credential, found several"),
        ({"url": ""}, "one of url, url_file and url_credential, found none"),
        ({"user": "ann"}, "with the password of this user, found none"),
        ({"url": "http://a.example"}, "https://HOST"),
        ({"url": "http://localhost:80", "ca_file": "/a"}, "https:// with a certificate"),
    ],
)
def test_settings_that_need_or_exclude_each_other(written: Writing, settings: dict[str, str], expected: str) -> None:
    text = sink(**{name: value for name, value in settings.items() if value})
    if "url" in settings:
        text = text.replace('url = "https://a.example"\n', "")
    (problem,) = load(str(written(text))).problems
    assert expected in str(problem)


def test_no_command_shows_a_secret(written: Writing, token: Path, evidenced: Evidenced) -> None:
    main = written(sink(token_file=token))
    for arguments in (("check",), ("check", "--json"), ("show",), ("show", "--json")):
        told = evidenced("config", *arguments, main)
        assert told.code == 0
        assert CANARY.decode() not in told.out + told.err
