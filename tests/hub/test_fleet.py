"""A fleet pack: what the hub writes is what verify.py checks in one run, host by host."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from evidence import pack_tar, verify
from evidence.errors import PackError
from evidence.keys import PrivateKey
from hub import presence, registry
from hub.blob_files import BlobFiles
from hub.fleet import FleetSummary, Period, member_name, write
from hub.folder import serving, visiting
from hub.limits import Limits
from hub.main import main
from hub.service import Hub
from hub.signing import signers
from hub.tokens import TokenCheck
from program.errors import COULD_NOT_RUN
from tests.hub.agents import Agent
from tests.hub.running import RunningHub
from tests.hub.test_commit import announced

PERIOD = Period(datetime(2026, 1, 2, tzinfo=timezone.utc), datetime(2026, 1, 3, tzinfo=timezone.utc), "ACME")
NOW = datetime(2026, 2, 1, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """Return a hub with three hosts, of which two sent entries of the day and one rotated its key."""
    folder = tmp_path_factory.mktemp("fleet")
    hub = RunningHub(folder / "data").start()
    for seed, name in ((1, "web-1.example"), (2, "Web 2/ü"), (3, "idle.example")):
        agent = Agent(seed, name)
        assert hub.enrol(agent).status == 201
        if seed < 3:
            fill(agent)
            assert hub.send(agent.batch(folder)).status == 200
    yield hub
    hub.stop()


def fill(agent: Agent) -> None:
    """Append a reading every half hour, from before the first day of the period to behind it."""
    agent.append(3 * 24 * 60 // 30, every=30)


@contextmanager
def written(hub: RunningHub, path: Path, *expected: str) -> Iterator[FleetSummary]:
    with visiting(str(hub.data)) as folder, closing(BlobFiles(folder.blobs)) as blobs:
        presence.expect(folder.database, expected)
        yield write(folder.database, blobs, str(path), PERIOD, NOW, overwrite=True)


def verdict(path: Path, *options: str) -> tuple[int, str]:
    out = io.StringIO()
    code = verify.main([str(path), *options], out)
    return code, out.getvalue()


def test_a_fleet_pack_is_checked_in_one_run(fleet: RunningHub, tmp_path: Path) -> None:
    path = tmp_path / "fleet.tar"
    with written(fleet, path, "web-1.example", "Web 2/ü") as summary:
        assert [each.name for each in summary.packs] == ["Web 2/ü", "web-1.example"]
    code, text = verdict(path)
    assert code == 0, text
    assert "✓ Host packs that are valid and complete: 2 of 2" in text
    assert "✓ web-1.example: all 51 entries intact; key SHA256:" in text
    with tarfile.open(path) as tar:
        assert tar.getnames()[:3] == ["manifest.json", "hosts/web-2.tar.gz", "hosts/web-1.example.tar.gz"]


def test_the_period_that_is_called_whole_is_the_one_that_was_asked_for(fleet: RunningHub, tmp_path: Path) -> None:
    path = tmp_path / "fleet.tar"
    with written(fleet, path, "web-1.example", "Web 2/ü"):
        pass
    asked = ("--since", "2026-01-02T06:00:00Z", "--until", "2026-01-02T12:00:00Z")
    code, text = verdict(path, *asked)
    assert code == 0, text
    assert "✓ Period: 2026-01-02T06:00:00Z → 2026-01-02T12:00:00Z" in text
    index = json.loads(verdict(path, *asked, "--json")[1].split("\n")[0])
    assert index["period"] == {"since": asked[1], "until": asked[3]}


def test_hosts_that_were_expected_and_are_missing_are_named(fleet: RunningHub, tmp_path: Path) -> None:
    path = tmp_path / "fleet.tar"
    with written(fleet, path, "web-1.example", "idle.example", "never.example") as summary:
        assert summary.missing == [{"last": None, "name": "idle.example"}, {"last": None, "name": "never.example"}]
    code, text = verdict(path)
    assert code == 3
    assert "✗ Missing: host never.example was expected, and is missing or stopped: it never sent any" in text
    assert "✓ web-1.example: all" in text


def test_a_host_that_fell_silent_is_not_hidden_by_another_one_that_takes_its_name(
    own_hub: RunningHub, tmp_path: Path
) -> None:
    silent, other = Agent(1, "web-1.example"), Agent(2, "other.example")
    for agent in (silent, other):
        assert own_hub.enrol(agent).status == 201
    silent.append(2)
    assert own_hub.send(silent.batch(tmp_path)).status == 200
    fill(other)
    other.name = silent.name
    assert own_hub.enrol(other).status == 200
    assert own_hub.send(other.batch(tmp_path)).status == 200
    last = "2026-01-01T00:02:00.000Z"
    gone = f"web-1.example {silent.key.public.fingerprint}"
    path = tmp_path / "fleet.tar"
    with written(own_hub, path, "web-1.example") as summary:
        assert summary.missing == [{"last": last, "name": gone}]
    code, text = verdict(path)
    assert code == 3
    assert f"✗ Missing: host {gone} was expected, and is missing or stopped: its last evidence is of {last}" in text
    with written(own_hub, path) as summary:  # both were enrolled after the period; its evidence is from before its end
        assert summary.missing == [{"last": last, "name": gone}]
    with written(own_hub, path, f"web-1.example {other.key.public.fingerprint}") as summary:
        assert summary.missing == []  # the operator said which of the two ought to report
    with written(own_hub, path, gone) as summary:
        assert [each["name"] for each in summary.missing] == [gone]


def test_a_missing_host_of_the_longest_name_with_a_key_behind_is_no_tampering(
    own_hub: RunningHub, tmp_path: Path
) -> None:
    line = f"{'n' * presence.MAX_NAME} {Agent(1).key.public.fingerprint}"
    assert presence.parse_list(line, "list") == [line]
    path = tmp_path / "fleet.tar"
    with written(own_hub, path, line) as summary:
        assert [each["name"] for each in summary.missing] == [line]
    code, text = verdict(path)
    assert (code, "Tampered" in text) == (3, False), text


@pytest.mark.parametrize(("name", "organisation"), [("n" * 190, "ACME"), ("n" * 60, "株式会社")])
def test_an_index_that_verify_would_not_take_is_never_written(tmp_path: Path, name: str, organisation: str) -> None:
    with serving(str(tmp_path / "data")) as folder:
        presence.expect(folder.database, [f"{name}{count}" for count in range(80_000)])
    period = replace(PERIOD, organisation=organisation)
    with (
        visiting(str(tmp_path / "data")) as folder,
        closing(BlobFiles(folder.blobs)) as blobs,
        pytest.raises(PackError, match=r"one that verify\.py takes"),
    ):
        write(folder.database, blobs, str(tmp_path / "fleet.tar"), period, NOW, overwrite=False)
    assert not (tmp_path / "fleet.tar").exists()


def test_a_line_of_the_list_with_a_key_is_not_met_by_a_host_that_is_called_so(
    own_hub: RunningHub, tmp_path: Path
) -> None:
    line = f"web-1.example {Agent(1).key.public.fingerprint}"
    agent = Agent(2, line)
    fill(agent)
    assert own_hub.enrol(agent).status == 201
    assert own_hub.send(agent.batch(tmp_path)).status == 200
    with written(own_hub, tmp_path / "fleet.tar", line) as summary:
        assert summary.missing == [{"last": None, "name": line}]
    with written(own_hub, tmp_path / "fleet.tar", line, "idle.example") as summary:
        assert [each["name"] for each in summary.missing] == ["idle.example", line]


def test_a_key_on_the_list_speaks_of_its_host_after_a_rotation_too(own_hub: RunningHub, tmp_path: Path) -> None:
    agent = Agent(1, "web-1.example")
    assert own_hub.enrol(agent).status == 201
    line = f"web-1.example {agent.key.public.fingerprint}"
    agent.store.rotate(PrivateKey(bytes([9] * 32)), agent.wall())
    assert own_hub.send(agent.batch(tmp_path, log=agent.store.logs()[0])).status == 200
    fill(agent)
    assert own_hub.send(agent.batch(tmp_path)).status == 200
    with written(own_hub, tmp_path / "fleet.tar", line) as summary:
        assert summary.missing == []


@pytest.mark.parametrize(
    "name", ["a" * 59 + ".example.org", "a" * 58 + "..b", "-" * 70 + "a.", "..", "...", "-", "a...b", "a.-.b", "A" * 80]
)
def test_the_name_of_a_host_pack_is_one_that_packs_allow_whatever_the_host_is_called(name: str) -> None:
    taken: set[str] = set()
    for _ in range(2):
        member = f"hosts/{member_name(presence.HostState(name=name, state='never', expected=True), taken)}.tar.gz"
        assert re.fullmatch(r"hosts/[a-z0-9.-]{1,73}\.tar\.gz", member)
        assert ".." not in member


def test_a_pack_without_any_host_proves_nothing_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub, path = RunningHub(tmp_path / "data").start(), tmp_path / "fleet.tar"
    try:
        period = ("--since", "2026-01-02", "--until", "2026-01-02")
        assert main(["pack", "--data", str(hub.data), *period, "-o", str(path)]) == COULD_NOT_RUN
    finally:
        hub.stop()
    assert "expected evidence of a host in the period, found none" in capsys.readouterr().err
    code, text = verdict(path)
    assert code == 3
    assert "✗ Missing: no host's pack is in it" in text


def test_without_a_list_hosts_are_expected_from_their_enrolment_on(fleet: RunningHub, tmp_path: Path) -> None:
    with visiting(str(fleet.data)) as folder, folder.database.transaction() as connection:
        connection.execute("UPDATE hosts SET enrolled = ?", (PERIOD.until.timestamp(),))
    with written(fleet, tmp_path / "fleet.tar") as summary:
        assert summary.missing == []
    with visiting(str(fleet.data)) as folder, folder.database.transaction() as connection:
        connection.execute("UPDATE hosts SET enrolled = ?", (PERIOD.since.timestamp(),))
    with written(fleet, tmp_path / "fleet.tar") as summary:
        assert summary.missing == [{"last": None, "name": "idle.example"}]


def test_equal_stores_give_equal_tar_streams(fleet: RunningHub, tmp_path: Path) -> None:
    with written(fleet, tmp_path / "one.tar") as one, written(fleet, tmp_path / "two.tar.gz") as two:
        assert one.tar_sha256 == two.tar_sha256
    assert verdict(tmp_path / "one.tar")[1] == verdict(tmp_path / "two.tar.gz")[1]


def test_a_folder_with_the_same_files_is_a_fleet_pack_too(fleet: RunningHub, tmp_path: Path) -> None:
    with written(fleet, tmp_path / "fleet.tar", "web-1.example"):
        pass
    with tarfile.open(tmp_path / "fleet.tar") as tar:
        unpack(tar, tmp_path / "folder")
    assert verdict(tmp_path / "folder")[0] == 0


def test_one_host_of_the_fleet_can_be_asked_for(fleet: RunningHub, tmp_path: Path) -> None:
    path = tmp_path / "fleet.tar"
    with written(fleet, path, "web-1.example"):
        pass
    assert verdict(path, "--host", "web-1.example")[0] == 0
    code, text = verdict(path, "--host", "other.example")
    assert code == 3
    assert "host other.example is not in the pack" in text


def test_a_period_that_the_fleet_does_not_cover_is_incomplete(fleet: RunningHub, tmp_path: Path) -> None:
    path = tmp_path / "fleet.tar"
    with written(fleet, path, "web-1.example"):
        pass
    assert verdict(path, "--since", "2026-01-02", "--until", "2026-01-05")[0] == 3


def test_the_keys_of_the_fleet_are_compared(fleet: RunningHub, tmp_path: Path) -> None:
    path = tmp_path / "fleet.tar"
    with written(fleet, path, "web-1.example"):
        pass
    keys = [Agent(seed).key.public.fingerprint for seed in (1, 2)]
    code, text = verdict(path, "--key", keys[0], "--key", keys[1])
    assert code == 0, text
    assert verdict(path, "--key", keys[0])[0] == 1  # the other host is signed by a key that was not given


def test_each_pack_has_a_line_of_json(fleet: RunningHub, tmp_path: Path) -> None:
    path = tmp_path / "fleet.tar"
    with written(fleet, path, "web-1.example"):
        pass
    lines = [json.loads(line) for line in verdict(path, "--json")[1].splitlines()]
    assert [each["exit"] for each in lines] == [0, 0, 0]
    assert lines[1]["file"] == f"{path}:hosts/web-2.tar.gz"


def test_two_fleet_packs_of_a_hub_show_one_and_the_same_logs(fleet: RunningHub, tmp_path: Path) -> None:
    with written(fleet, tmp_path / "one.tar", "web-1.example"), written(fleet, tmp_path / "two.tar", "web-1.example"):
        pass
    assert verdict(tmp_path / "one.tar", str(tmp_path / "two.tar"))[0] == 0


class Fleet(NamedTuple):
    """A fleet pack taken apart."""

    manifest: dict[str, Any]
    members: dict[str, bytes]


def changed(path: Path, change: Callable[[Fleet], None]) -> Path:
    """Return a fleet pack whose members a function has changed, with a manifest that fits them again."""
    with tarfile.open(path) as tar:
        members = {each.name: tar.extractfile(each).read() for each in tar}  # type: ignore[union-attr]
    manifest = json.loads(members.pop("manifest.json"))
    change(Fleet(manifest, members))
    manifest["members"] = [
        {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in members.items()
    ]
    out = io.BytesIO()
    stream = pack_tar.TarStream(out.write, compressed=False)
    raw = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    for name, data in {"manifest.json": raw, **members}.items():
        stream.add(name, len(data), [data])
    stream.close()
    path = path.with_name("changed.tar")
    path.write_bytes(out.getvalue())
    return path


def drop(fleet: Fleet) -> None:
    del fleet.members["hosts/web-2.tar.gz"]


def swap(fleet: Fleet) -> None:
    names = [each for each in fleet.members if each.startswith("hosts/")]
    fleet.members[names[0]], fleet.members[names[1]] = fleet.members[names[1]], fleet.members[names[0]]


def flip(fleet: Fleet) -> None:
    data = bytearray(fleet.members["hosts/web-2.tar.gz"])
    data[len(data) // 2] ^= 1
    fleet.members["hosts/web-2.tar.gz"] = bytes(data)


def cut(fleet: Fleet) -> None:
    fleet.members["hosts/web-2.tar.gz"] = fleet.members["hosts/web-2.tar.gz"][:-9]


def lie(fleet: Fleet) -> None:
    fleet.manifest["hosts"][0]["tar_sha256"] = "0" * 64


def nest(fleet: Fleet) -> None:
    out = io.BytesIO()
    stream = pack_tar.TarStream(out.write, compressed=True)
    raw = json.dumps(fleet.manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    stream.add("manifest.json", len(raw), [raw])
    stream.close()
    fleet.members["hosts/web-2.tar.gz"] = out.getvalue()


def smuggle(fleet: Fleet) -> None:
    fleet.members["hosts/zz.tar.gz"] = fleet.members["hosts/web-2.tar.gz"]


def unnamed(fleet: Fleet) -> None:
    fleet.manifest["hosts"][0]["name"] = ""


def count(fleet: Fleet) -> None:
    fleet.manifest["counts"]["missing"] = 7


def file_again(fleet: Fleet) -> None:
    """Let the evidence of one host stand for that of another, too."""
    entry = next(each for each in fleet.manifest["hosts"] if each["name"] == "web-1.example")
    member = "hosts/silent.example.tar.gz"
    fleet.manifest["hosts"].append({**entry, "member": member, "name": "silent.example"})
    fleet.manifest["counts"]["hosts"] += 1
    fleet.members[member] = fleet.members[entry["member"]]


@pytest.mark.parametrize("attack", [drop, swap, flip, cut, lie, nest, smuggle, unnamed, count, file_again])
def test_what_was_done_to_a_fleet_pack_is_found(
    fleet: RunningHub, tmp_path: Path, attack: Callable[[Fleet], None]
) -> None:
    path = tmp_path / "fleet.tar"
    with written(fleet, path, "web-1.example"):
        pass
    assert verdict(changed(path, lambda _: None))[0] == 0
    code, text = verdict(changed(path, attack))
    assert code == 1, text


def test_the_evidence_of_one_host_cannot_stand_for_two(fleet: RunningHub, tmp_path: Path) -> None:
    path = tmp_path / "fleet.tar"
    with written(fleet, path, "web-1.example"):
        pass
    path = changed(path, file_again)
    keys = [word for seed in (1, 2) for word in ("--key", Agent(seed).key.public.fingerprint)]
    code, text = verdict(path, *keys)
    assert code == 1
    assert "✗ silent.example, but signed as web-1.example: exit 1: log " in text
    assert "is of one host, and also filed as that of web-1.example" in text
    assert "✗ Host packs that are valid and complete: 2 of 3" in text


def test_a_name_that_the_host_did_not_sign_is_marked(fleet: RunningHub, tmp_path: Path) -> None:
    def rename(fleet: Fleet) -> None:
        next(each for each in fleet.manifest["hosts"] if each["name"] == "web-1.example")["name"] = "silent.example"

    path = tmp_path / "fleet.tar"
    with written(fleet, path, "web-1.example"):
        pass
    signed = json.loads(verdict(path, "--json")[1].splitlines()[2])["hosts"][0]["names"]
    path = changed(path, rename)
    line = next(each for each in verdict(path)[1].splitlines() if "silent.example" in each)
    assert line.startswith(f"! silent.example, but signed as {signed[-1]}: all ")
    told = json.loads(verdict(path, "--json")[1].splitlines()[2])
    assert (told["name"], told["hosts"][0]["names"]) == ("silent.example", signed)


def test_a_fleet_pack_that_was_cut_off_is_tampered_with(fleet: RunningHub, tmp_path: Path) -> None:
    path = tmp_path / "fleet.tar"
    with written(fleet, path, "web-1.example"):
        pass
    path.write_bytes(path.read_bytes()[:-5000])
    assert verdict(path)[0] == 1


def test_what_is_not_proved_stands_above_the_hosts(fleet: RunningHub, tmp_path: Path) -> None:
    path = tmp_path / "fleet.tar"
    with written(fleet, path, "web-1.example"):
        pass
    lines = verdict(path)[1].splitlines()
    assert lines.index(verify.NOT_PROVED[0]) < next(at for at, line in enumerate(lines) if "web-1.example" in line)


def test_a_pack_within_the_fleet_stands_by_itself(fleet: RunningHub, tmp_path: Path) -> None:
    path = tmp_path / "fleet.tar"
    with written(fleet, path, "web-1.example"):
        pass
    with tarfile.open(path) as tar:
        unpack(tar, tmp_path)
    vkey = fleet.describe()["vkey"]
    code, text = verdict(tmp_path / "hosts/web-1.example.tar.gz", "--require", "witness", "--witness", vkey)
    assert code == 0, text
    assert "✓ Witness hub.example saw" in text


def test_a_host_whose_entries_are_damaged_keeps_no_other_one_out_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(str(tmp_path / "data")) as folder:
        hub = Hub(folder, signers(folder.keys, "hub.example"), TokenCheck(folder.database), Limits(reserve=0))
        for seed, name in ((1, "a.example"), (2, "b.example"), (3, "c.example")):
            agent = Agent(seed, name)
            fill(agent)
            with folder.database.transaction() as connection:
                registry.add_key(connection, agent.key.public, registry.add_host(connection, name, 1), "enrolled", 1)
            hub.verify(announced(batch := agent.batch(tmp_path)), io.BytesIO(batch.data)).result(30)
        hub.close()
        with folder.database.transaction() as connection:
            connection.execute("UPDATE pieces SET envelopes = x'00' WHERE log = 2")
    options = ("--data", f"{tmp_path}/data", "--since", "2026-01-02", "--until", "2026-01-02")
    assert main(["pack", *options, "--output", f"{tmp_path}/fleet.tar"]) == COULD_NOT_RUN
    assert "b.example: left out: log " in capsys.readouterr().err
    code, text = verdict(tmp_path / "fleet.tar")
    assert code == 3
    assert "✗ Missing: host b.example" in text
    assert "✓ a.example: all" in text
    assert "✓ c.example: all" in text


def unpack(tar: tarfile.TarFile, folder: Path) -> None:
    """Write the files of a pack; `filter=` came with Python 3.11.4, and without it 3.12 complains."""
    for member in tar:
        content = tar.extractfile(member)
        assert content is not None
        path = folder / member.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.read())
