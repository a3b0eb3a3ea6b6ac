"""The hub's package beside the agent's, on one host: from installation to an acknowledged batch, and away again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.booted.host import BootedHost
from tests.packages.apt import apt, install
from tests.packages.conftest import Boot

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_program("mmdebstrap"), pytest.mark.slow]

DATA = "/var/lib/evidenced-hub"


@pytest.fixture(scope="module")
def host(boot: Boot) -> Iterator[BootedHost]:
    """Give a host on which both were installed just now."""
    with boot("debian-13") as booted:
        install(booted)
        install(booted, "evidenced-hub")
        yield booted


def hub(host: BootedHost, *words: str) -> str:
    """Run a command of the hub as its user."""
    return host.ok("runuser", "-u", "evidenced-hub", "--", "evidenced-hub", *words, "--data", DATA)


def test_it_is_off_until_it_has_a_name(host: BootedHost) -> None:
    assert host.run("systemctl", "is-enabled", "evidenced-hub").out.strip() == "disabled"
    assert host.run("systemctl", "is-active", "evidenced-hub").out.strip() == "inactive"
    host.run("systemctl", "start", "evidenced-hub")
    host.until(lambda: host.show("evidenced-hub", "Result") == "exit-code", 30, "an end for want of a name")
    assert host.show("evidenced-hub", "ExecMainStatus") == "2"
    host.ok("systemctl", "reset-failed", "evidenced-hub")


def test_an_agent_enrols_and_its_evidence_is_acknowledged(host: BootedHost) -> None:
    host.write("/etc/evidenced-hub/hub.conf", 'OPTIONS="--name hub.test --listen 127.0.0.1:8443"\n')
    host.ok("systemctl", "enable", "--now", "evidenced-hub")
    host.until(lambda: "serves as hub.test" in host.journal(), 30, "the hub to serve")
    key = re.findall(r"serves as (hub\.test\+\S+)", host.journal())[-1]
    host.write("/root/token", hub(host, "token", "new"), mode="0600")
    host.ok("evidenced", "enroll", "--hub", "http://127.0.0.1:8443", "--token-file", "/root/token", "--hub-key", key)
    host.ok("systemctl", "reload", "evidenced")
    host.ok("evidenced", "record", "backup-run", "--field", "job=nightly", "--field", "result=ok")
    host.until(lambda: host.run("evidenced", "ship", timeout_s=120).code == 0, 60, "a delivery")
    listed = [json.loads(line) for line in hub(host, "hosts", "--json").splitlines()]
    assert len(listed) == 1
    assert "receipt" in host.ok("evidenced", "status")


def test_it_is_caged(host: BootedHost) -> None:
    said = host.ok("systemd-analyze", "security", "--no-pager", "evidenced-hub.service")
    found = re.search(r"Overall exposure level for evidenced-hub.service: ([0-9.]+)", said)
    assert found
    assert float(found[1]) <= 1.5
    owners = host.ok("find", DATA, "(", "!", "-user", "evidenced-hub", "-o", "-perm", "/077", ")")
    assert owners == ""


def test_purged_it_leaves_nothing_but_its_user(host: BootedHost) -> None:
    said = apt(host, "purge", "evidenced-hub").out
    assert f"purge removes {DATA} (" in said
    assert f"the private key {DATA}/keys/storage.pem, which cannot be made again" in said
    listed = host.ok("find", "/", "-xdev", "-path", "/mnt", "-prune", "-o", "-name", "*evidenced-hub*", "-print")
    assert listed == ""
    assert host.ok("systemctl", "is-active", "evidenced.service").strip() == "active"
