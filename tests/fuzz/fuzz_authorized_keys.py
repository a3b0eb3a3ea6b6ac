"""Any bytes as a file of keys, of authorities and of principals: rows that can be written, or gaps with a line."""

from __future__ import annotations

import msgspec

from collectors.access.ssh.authorised import Finding
from collectors.access.ssh.key_files import lines_of
from collectors.access.ssh.key_lines import parse_authority_line, parse_key_line, parse_principal_line
from collectors.access.ssh.key_paths import Place
from collectors.access.ssh_authorized_keys import SshAuthorizedKey, row_of
from collectors.contract import Gap
from collectors.reading.facts import Content, Facts
from collectors.reading.host import Host

PATH = "/home/bob/.ssh/authorized_keys"
FACTS = Facts("file", 0o600, 1001, 1001, 0, 0.0, 1, 1, 1)


def target(data: bytes) -> None:
    host = Host("/", secret=b"fuzz")
    lines = data.count(b"\n") + 1
    for parse in (parse_key_line, parse_authority_line, parse_principal_line):
        for each in lines_of(Content(PATH, data, FACTS), parse):
            if isinstance(each, Gap):
                assert each.line is None or 1 <= each.line <= lines
                continue
            row = row_of(host, Finding("bob", Place(PATH, ("",)), FACTS, each))
            assert msgspec.json.decode(msgspec.json.encode(row), type=SshAuthorizedKey) == row
            assert row.kind == "principal" or (row.fingerprint or "").startswith("SHA256:")
            assert 1 <= row.line <= lines
