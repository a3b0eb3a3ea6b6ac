from __future__ import annotations

from pathlib import Path

import pytest

from collectors.access.sshd_settings import TABLE, SshdSetting
from collectors.reading.host import Host
from tests.collectors.access.ssh.server import Server


@pytest.mark.needs_program("sshd", "ssh-keygen")
def test_the_real_server_is_read_and_matched_with_its_files(server: Server, tmp_path: Path) -> None:
    config = "Port 2222\nPermitRootLogin no\nAllowUsers a b\nAllowUsers c\nSetEnv A=1\nMatch User bob\nPermitTTY no\n"
    (server.folder / "config").write_text(config)
    (server.folder / "config").chmod(0o644)
    printed = server.prints(server.folder / "config")
    assert printed is not None
    (tmp_path / "root/etc/ssh").mkdir(parents=True)
    (tmp_path / "root/etc/ssh/sshd_config").write_text(config)
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands/sshd-test").write_bytes(printed)
    rows = [each for each in TABLE.collect(Host.recorded(str(tmp_path))) if isinstance(each, SshdSetting)]
    found = {(each.setting, each.match, each.index): each for each in rows}
    assert found["port", "", 0].configured == "2222"
    assert [found["allowusers", "", each].value for each in range(3)] == ["a", "b", "c"]
    assert [found["allowusers", "", each].line for each in range(3)] == [3, 3, 4]
    assert found["permittty", "", 0].value == "yes"
    assert found["permittty", "user bob", 0].value == "no"
    for each in rows:
        if each.method == "sshd -T" and each.configured is not None and each.setting != "listenaddress":
            assert each.value == each.configured
    assert len(rows) > 60
