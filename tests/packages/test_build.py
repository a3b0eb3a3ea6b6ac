"""What the packages are: the same to the byte each time, complete, root's, and clean by their distributions' rules."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packages.conftest import ROOT, build

pytestmark = [pytest.mark.needs_program("dpkg-deb"), pytest.mark.needs_program("rpm"), pytest.mark.slow]

PACKAGES = ("evidenced", "evidenced-hub")
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
ELF_MACHINE = {"amd64": 62, "arm64": 183}
LICENCES_OF = re.compile(r"^License: (.*)$", re.MULTILINE)

both = pytest.mark.parametrize("package", PACKAGES)
each = pytest.mark.parametrize(("package", "arch"), [(name, arch) for name in PACKAGES for arch in MACHINES])


def deb(built: Path, package: str, arch: str) -> Path:
    return built / f"{package}_0.1.0-1_{arch}.deb"


def rpm(built: Path, package: str, arch: str) -> Path:
    return built / f"{package}-0.1.0-1.{MACHINES[arch]}.rpm"


def members(path: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yield what a deb installs, with the content of files."""
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as archive:
        for member in archive:
            content = archive.extractfile(member)
            yield member, content.read() if content else b""


def query(path: Path, what: str) -> list[str]:
    return subprocess.run(
        ["rpm", "-qp", "--qf", what, path], check=True, capture_output=True, text=True
    ).stdout.splitlines()


def bill(built: Path, package: str, arch: str = "amd64") -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads((built / f"{package}-0.1.0-{arch}.cdx.json").read_text())
    return found


def test_built_again_elsewhere_they_are_the_same_to_the_byte(built: Path, tmp_path: Path) -> None:
    again = build(tmp_path / "again", "--arch", "arm64")
    names = sorted(path.name for path in again.iterdir())
    assert len(names) == 6
    assert [name for name in names if (again / name).read_bytes() != (built / name).read_bytes()] == []


@each
def test_everything_belongs_to_root_and_nobody_else_may_write(built: Path, package: str, arch: str) -> None:
    for member, _ in members(deb(built, package, arch)):
        assert (member.uid, member.gid, member.uname) == (0, 0, "root"), member.name
        assert member.isdir() or member.isfile(), member.name
        assert member.mode & 0o7022 == 0, member.name
    facts = query(rpm(built, package, arch), "[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME}\n]")
    assert {line.split(" ", 1)[1] for line in facts} == {"root root"}
    assert {line.split()[0] for line in facts} <= {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"}


@each
def test_compiled_parts_are_for_the_machine_and_for_each_python(built: Path, package: str, arch: str) -> None:
    compiled = {m.name: content for m, content in members(deb(built, package, arch)) if m.name.endswith(".so")}
    assert {int.from_bytes(content[18:20], "little") for content in compiled.values()} == {ELF_MACHINE[arch]}
    for minor in range(10 if package == "evidenced" else 11, 15):
        assert any(f"msgspec/_core.cpython-3{minor}-" in name for name in compiled)
    assert any(name.endswith("_sodium.abi3.so") for name in compiled)


@both
def test_deb_and_rpm_install_the_same(built: Path, package: str) -> None:
    own = {"copyright", "changelog.Debian.gz", "LICENSES"}
    in_deb = {m.name.removeprefix(".") for m, _ in members(deb(built, package, "amd64")) if m.isfile()}
    listed = query(rpm(built, package, "amd64"), "[%{FILEMODES:perms} %{FILENAMES}\n]")
    in_rpm = {line.split(" ", 1)[1] for line in listed if line.startswith("-")}
    moved = {name.replace("/site-functions/", "/vendor-completions/") for name in in_rpm}
    different = {name for name in in_deb ^ moved if name.rpartition("/")[2] not in own and "/lintian/" not in name}
    assert different == set()


def test_the_agent_has_what_an_administrator_looks_for(built: Path) -> None:
    names = {m.name.removeprefix("./"): m for m, _ in members(deb(built, "evidenced", "amd64"))}
    for name in (
        "usr/bin/evidenced",
        "usr/share/evidenced/verify.py",
        "usr/share/man/man1/evidenced.1.gz",
        "usr/share/man/man5/evidenced.toml.5.gz",
        "usr/share/bash-completion/completions/evidenced",
        "usr/share/zsh/vendor-completions/_evidenced",
        "usr/share/fish/vendor_completions.d/evidenced.fish",
        "usr/share/doc/evidenced/evidenced.cdx.json",
        "usr/lib/systemd/system/evidenced.service",
        "usr/lib/sysusers.d/evidenced.conf",
        "usr/lib/tmpfiles.d/evidenced.conf",
        "etc/evidenced/agent.toml",
    ):
        assert name in names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("var", "run", "usr/local"))]
    assert not [name for name in names if "/_rooms/hub" in name], "the hub is a package of its own"
    control = subprocess.run(
        ["dpkg-deb", "-I", deb(built, "evidenced", "amd64"), "conffiles"], check=True, capture_output=True
    )
    assert control.stdout.split() == [b"/etc/evidenced/agent.toml"]
    assert (
        query(rpm(built, "evidenced", "amd64"), "[%{FILEFLAGS:fflags} %{FILENAMES}\n]").count(
            "cn /etc/evidenced/agent.toml"
        )
        == 1
    )


@each
def test_the_bill_of_materials_names_what_is_there(built: Path, package: str, arch: str) -> None:
    there = {
        m.name.split("/")[4].removesuffix(".dist-info")
        for m, _ in members(deb(built, package, arch))
        if m.name.endswith(".dist-info/METADATA")
    }
    libraries = [c for c in bill(built, package, arch)["components"] if str(c["purl"]).startswith("pkg:pypi/")]
    assert {f"{c['name']}-{c['version']}".replace("-", "_") for c in libraries} == {n.replace("-", "_") for n in there}
    locked = (ROOT / "requirements" / ("run.txt" if package == "evidenced" else "hub.txt")).read_text()
    for library in libraries:
        for wheel in library["externalReferences"]:  # type: ignore[attr-defined]
            assert f"--hash=sha256:{wheel['hashes'][0]['content']}" in locked, wheel["url"]


@both
def test_every_part_has_its_licence_in_the_copyright_file_and_in_the_description(built: Path, package: str) -> None:
    files = {m.name.removeprefix("./"): content for m, content in members(deb(built, package, "amd64")) if m.isfile()}
    text = files[f"usr/share/doc/{package}/copyright"].decode()
    stanzas = text.split("\n\n")
    covered = [
        line.strip().rstrip("*") for stanza in stanzas for line in stanza.split("\n") if line.startswith(" usr/lib/")
    ]
    own = f"usr/lib/{package}/evidenced/"
    uncovered = [
        name for name in files if name.startswith(f"usr/lib/{package}/") and not name.startswith((own, *covered))
    ]
    assert uncovered == []
    named = {licence for found in LICENCES_OF.findall(text) for licence in found.split(" and ")}
    (said,) = query(rpm(built, package, "amd64"), "%{LICENSE}")
    assert set(said.split(" AND ")) == named
    assert {str(c["licenses"][0]["license"]["id"]) for c in bill(built, package)["components"]} <= named  # type: ignore[index]


@pytest.mark.needs_program("lintian")
def test_lintian_has_nothing_to_say(built: Path) -> None:
    command = ["lintian", "--allow-root", "--fail-on", "error,warning", *map(str, built.glob("*-1_*.deb"))]
    assert len(command) == 4 + 4
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


@pytest.mark.needs_program("rpmlint")
def test_rpmlint_has_nothing_to_say(built: Path) -> None:
    command = ["rpmlint", "-c", str(ROOT / "packaging/lint/rpmlint.toml"), *map(str, built.glob("*-1.*.rpm"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "4 packages and 0 specfiles checked; 0 errors, 0 warnings" in done.stdout, done.stdout


@pytest.mark.needs_program("shellcheck")
@both
def test_the_scripts_are_plain_and_checked(built: Path, package: str, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "-e", deb(built, package, "amd64"), tmp_path], check=True)
    scripts = [tmp_path / name for name in ("postinst", "prerm", "postrm")]
    for name in ("PREIN", "POSTIN", "PREUN", "POSTUN", "POSTTRANS"):
        scripts.append(tmp_path / name)
        scripts[-1].write_text("\n".join(query(rpm(built, package, "amd64"), f"%{{{name}}}")) + "\n")
    unused = "--exclude=SC2034"  # what one script needs of what they share, another does not
    done = subprocess.run(["shellcheck", "--shell=sh", unused, *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert all(os.access(path, os.X_OK) for path in scripts[:3])
