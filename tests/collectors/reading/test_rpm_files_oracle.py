"""Every file of every package against `rpm -qa`, and owners against `rpm -qf`, on a database that rpm made."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from collectors.contract import Gap
from collectors.reading.host import Host
from collectors.reading.ownership import Recorded, owners_of
from collectors.reading.rpm_database import each_header
from collectors.reading.rpm_files import PackagedFile, packaged_files, wanted_files
from fixtures import make_rpm_tree

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.needs_program("rpm", "rpmbuild")]

FORM = "[%{=NAME}\t%{FILENAMES}\t%{FILEUSERNAME}\t%{FILEGROUPNAME}\t%{FILEMODES:octal}\t%{FILESTATES:fstate}\n]"
SPEC = """\
Name: odd
Version: 1
Release: 1
Summary: Odd files
License: MIT
Prefix: /opt/odd
BuildArch: noarch
%description
Odd files
%package twin
Summary: A file of odd once more
%description twin
A file of odd once more
%install
mkdir -p %{buildroot}/opt/odd/folder %{buildroot}/usr/bin %{buildroot}/usr/share/doc/odd
echo odd | tee "%{buildroot}/opt/odd/with space" %{buildroot}/opt/odd/ünï %{buildroot}/usr/bin/odd-tool
echo odd >%{buildroot}/usr/share/doc/odd/README
ln -s odd-tool %{buildroot}/usr/bin/odd-link
%files
%attr(4750, root, wheel) "/opt/odd/with space"
%attr(2711, games, tty) /opt/odd/ünï
%dir %attr(3775, root, games) /opt/odd/folder
%ghost %attr(6755, root, root) /opt/odd/ghost
%attr(0755, bin, bin) /usr/bin/odd-tool
/usr/bin/odd-link
%doc /usr/share/doc/odd/README
%files twin
%attr(0755, bin, bin) /usr/bin/odd-tool
"""
LEFT_OUT = "/usr/share/doc/odd/README"


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the EL 9 tree, with two packages more, unpacked: one relocated and without its documentation."""
    root, top = tmp_path_factory.mktemp("el9"), tmp_path_factory.mktemp("odd")
    make_rpm_tree.make_rpm_tree(root)
    (top / "odd.spec").write_text(SPEC, encoding="utf-8")
    defines = ("--define", f"_topdir {top}", "--define", "__os_install_post %{nil}")
    run("rpmbuild", "-bb", "--quiet", *defines, str(top / "odd.spec"))
    odd, twin = sorted((top / "RPMS").rglob("*.rpm"))
    options = ("--root", str(root), "--dbpath", "/var/lib/rpm", "-i", "--nodeps", "--nosignature")
    run("rpm", *options, "--excludedocs", "--relocate", "/opt/odd=/srv/moved", str(odd))
    run("rpm", *options, str(twin))
    return root


def told_by_rpm(root: Path) -> list[list[str]]:
    """Return name, path, owner, group, mode and state of each file of each package."""
    return [line.split("\t") for line in run("rpm", *dbpath(root), "-qa", "--qf", FORM).splitlines()]


def dbpath(root: Path) -> tuple[str, str]:
    return "--dbpath", str(root / make_rpm_tree.DATABASE)


def ours(root: Path, paths: Iterable[str]) -> list[PackagedFile]:
    host, wanted = Host(str(root), secret=b"secret"), wanted_files(paths)
    items = list(each_header(host, "/var/lib/rpm/rpmdb.sqlite", lambda header: packaged_files(header, wanted)))
    assert [each for each in items if isinstance(each, Gap)] == []
    return [each for each in items if isinstance(each, PackagedFile)]


def owners_by_rpm(root: Path, path: str) -> set[str]:
    """Return the packages that rpm -qf names; that there is none it says on stdout too."""
    command = ["rpm", *dbpath(root), "-qf", "--qf", "%{NAME}\\n", path]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return set() if done.returncode else set(done.stdout.split())


def test_every_file_that_rpm_installed_is_found_as_rpm_tells_it(tree: Path) -> None:
    told = told_by_rpm(tree)
    installed = [fields[:5] for fields in told if fields[5] == "normal"]
    found = [
        [each.package, each.path, each.owner, each.group, f"{each.mode:o}"]
        for each in ours(tree, {fields[1] for fields in told})
    ]
    assert len(found) > 100
    assert sorted(found) == sorted(installed)
    assert [fields[1] for fields in told if fields[5] == "not installed"] == [LEFT_OUT]


def test_the_tree_holds_what_is_odd_about_files(tree: Path) -> None:
    paths = {fields[1]: fields for fields in told_by_rpm(tree)}
    assert {"/srv/moved/with space", "/srv/moved/ünï", "/srv/moved/ghost", "/usr/bin/odd-link"} <= set(paths)
    assert {int(fields[4], 8) >> 12 for fields in paths.values()} == {0o04, 0o10, 0o12}


def test_owners_are_those_of_rpm_qf(tree: Path) -> None:
    asked = [fields[1] for fields in told_by_rpm(tree) if not fields[1].startswith("/usr/share/doc/")]
    asked += ["/usr/share/doc/sudo/README", LEFT_OUT, "/opt/odd/ghost", "/usr/bin/sudo2", "/usr/bin", "/etc/sudo"]
    found = owners_of(Host(str(tree), secret=b"secret"), asked)
    assert found.gaps == ()
    told = {path: owners for path in asked if (owners := owners_by_rpm(tree, path))}
    assert set(found.packages) == set(told)
    assert all(found.packages[path] in owners for path, owners in told.items())
    assert told["/usr/bin/odd-tool"] == {"odd", "odd-twin"}


def test_what_a_package_shipped_is_on_record(tree: Path) -> None:
    paths = ["/usr/bin/sudo", "/usr/libexec/openssh/ssh-keysign", "/srv/moved/with space", "/srv/moved/folder"]
    assert owners_of(Host(str(tree), secret=b"secret"), paths).recorded == {
        "/usr/bin/sudo": Recorded("root", "root", 0o4111),
        "/usr/libexec/openssh/ssh-keysign": Recorded("root", "ssh_keys", 0o2555),
        "/srv/moved/with space": Recorded("root", "wheel", 0o4750),
        "/srv/moved/folder": Recorded("root", "games", None),
    }
