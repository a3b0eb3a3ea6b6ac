"""Any bytes as sshd_config with two files it may include, and as output of `sshd -T`: rows that can be written."""

from __future__ import annotations

import contextlib
import os
import tempfile

import msgspec

from collectors.access.ssh.effective_output import parse_effective
from collectors.access.ssh.match_block import Person, concerns
from collectors.access.ssh.sshd_config import read_configuration
from collectors.access.sshd_settings import TABLE, SshdSetting, merged
from collectors.contract import MalformedError
from collectors.reading.host import Host

FILES = ("sshd_config", "a.conf", "b.conf")
BOB = Person("bob", frozenset({"staff"}))


def target(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(f"{root}/etc/ssh")
        for name, content in zip(FILES, data.split(b"\xff"), strict=False):
            with open(f"{root}/etc/ssh/{name}", "wb") as file:
                file.write(content)
        configuration = read_configuration(Host(root, secret=b"fuzz"))
    effective = {}
    with contextlib.suppress(MalformedError):
        effective = parse_effective(data)
    keys = set()
    for row in merged(effective, configuration):
        assert msgspec.json.decode(msgspec.json.encode(row), type=SshdSetting) == row
        key = tuple(getattr(row, name) for name in TABLE.key)
        assert key not in keys, key
        keys.add(key)
    for each in configuration.directives:
        assert concerns(each.scope, BOB, frozenset({"staff"})) in {"yes", "no", "perhaps"}
