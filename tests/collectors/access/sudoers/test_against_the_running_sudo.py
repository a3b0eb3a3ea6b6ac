"""The very same /etc for sudo itself and for us: whom sudo lets do what, and whom our rows say it lets."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from collectors.access.sudoers.sudo_conf import FOLDERS, SUDOERS_SO
from tests.collectors.access.sudoers.tree import Tree
from tests.conftest import program

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_program("sudo", "unshare", "mount")]

POLICY = "Plugin sudoers_policy sudoers.so "
OTHER = "sudoers_file=/etc/other"
STRICT = f"{POLICY}error_recovery=false\n"
MINE = "root ALL = ALL\nnobody ALL = /bin/mine\n"
# What sudo needs of a host to list somebody's rules; the rest of /etc is not there.
NEEDED = ("passwd", "group", "hosts", "hostname", "ld.so.cache")


class Both(Tree):
    """A root folder whose /etc sudo sees in place of its own."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        for name in NEEDED:
            if Path("/etc", name).exists():
                self.put(f"/etc/{name}", Path("/etc", name).read_bytes(), mode=0o644)
        for path in (Path(folder, SUDOERS_SO) for folder in FOLDERS):
            if path.exists():
                self.put(str(path), path.read_bytes(), mode=0o644)
        self.put(
            "/etc/pam.d/sudo", "".join(f"{each} required pam_permit.so\n" for each in ("auth", "account", "session"))
        )
        self.put("/etc/sudo.conf", "", mode=0o644)
        self.put("/etc/nsswitch.conf", "passwd: files\n", mode=0o644)
        self.put("/etc/sudoers", MINE)
        self.put("/etc/other", "nobody ALL = /bin/other\n")

    def theirs(self) -> set[str]:
        """Return the commands that sudo lists for nobody."""
        done = self._run()
        assert " nobody " in done.stdout or "error initializing" in done.stderr, done.stderr
        return {word for word in done.stdout.split() if word.startswith("/bin/")}

    def said(self) -> str:
        """Return what sudo complains of."""
        return self._run().stderr

    def _run(self) -> subprocess.CompletedProcess[str]:
        script = 'mount --bind "$1/etc" /etc && exec "$2" -n -l -U nobody'
        sudo = program("sudo") or "sudo"
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(self.root), sudo]
        return subprocess.run(command, capture_output=True, check=False, timeout=30, text=True, env={"LC_ALL": "C"})

    def ours(self) -> set[str]:
        """Return the commands of nobody's rules that our rows say are in force."""
        found = (row.command for row in self.rows() if row.ignored is None and row.users == ("nobody",))
        return {command for command in found if command}


@pytest.fixture
def both(tmp_path: Path) -> Both:
    """Return a host for sudo and for us."""
    return Both(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"plugin sudoers_policy sudoers.so {OTHER}\n",
        f"{POLICY}{OTHER}\n{POLICY}sudoers_file=/etc/sudoers\n",
        f"Plugin sudoers_audit sudoers.so {OTHER}\n",
        f"Plugin sudoers_audit sudoers.so\n{POLICY}{OTHER}\n",
        f"Plugin sudoers_io sudoers.so {OTHER}\n",
        f"{POLICY}\\\n  sudoers_\\\nfile=/etc/other\r\n",
        f"{POLICY}\\ # x\n {OTHER}\n",
        f"{POLICY}\\\\\n {OTHER}\n",
        f"{POLICY}{OTHER} sudoers_mode=9\n",
        f"{POLICY}sudoers_gid=-1\n",
        f"{POLICY}sudoers_uid=+00\n",
        f"{POLICY}{OTHER}\0x\n",
    ],
)
def test_sudo_conf_leads_both_to_the_same_rules(both: Both, text: str) -> None:
    both.put("/etc/sudo.conf", text, mode=0o644)
    assert both.ours() == both.theirs()


def test_the_folder_of_plugins_is_the_rest_of_its_line_to_both(both: Both) -> None:
    own = next(folder for folder in FOLDERS if Path(folder, SUDOERS_SO).exists())
    both.put("/etc/sudo.conf", f"Path plugin_dir {own}/\n", mode=0o644)
    assert both.ours() == both.theirs() == {"/bin/mine"}
    assert both.gaps() == []
    both.put("/etc/sudo.conf", f"Path plugin_dir \t{own}/ x/\n", mode=0o644)
    assert f"unable to load {own}/ x/{SUDOERS_SO}" in both.said()
    assert both.gaps() == [("/etc/sudo.conf", "unenumerable", 1)]


def test_neither_listens_to_a_sudo_conf_that_a_group_may_write_to(both: Both) -> None:
    both.put("/etc/sudo.conf", f"{POLICY}{OTHER}\n", mode=0o664)
    assert both.ours() == both.theirs() == {"/bin/mine"}


@pytest.mark.parametrize(
    "text",
    ["files", "sss", "SSS", "nis", "sss,files", "files \\\n sss", "sss \\ #\n files", "nis SSS # files", "sss files"],
)
def test_nsswitch_conf_leads_both_to_the_same_rules(both: Both, text: str) -> None:
    both.put("/etc/nsswitch.conf", f"passwd: files\nsudoers: {text}\nsudoers: files\n", mode=0o644)
    assert both.ours() == both.theirs()


@pytest.mark.parametrize("conf", ["", STRICT])
@pytest.mark.parametrize(
    "text",
    [
        "x y\n",
        "@include /etc/none\n",
        "@include /etc/open\n",
        "@include /etc/sudoers.d\n",
        "@includedir /etc/none\n@includedir /etc/open.d\n",
        "@includedir /etc/broken.d\n",
        "User_Alias A = b\nUser_Alias A = c\n",
        "Defaults unknown\nB ALL = ALL\n",
        "@includedir /etc/loop.d\n",
    ],
)
def test_faults_stop_both_or_neither(both: Both, conf: str, text: str) -> None:
    both.put("/etc/sudo.conf", conf, mode=0o644)
    both.put("/etc/sudoers", MINE + text)
    both.put("/etc/open", "nobody ALL = /bin/open\n", mode=0o446)
    both.put("/etc/open.d/10", "x y\n", mode=0o446)
    both.put("/etc/broken.d/10", "x y\n")
    both.put("/etc/loop.d/10", "@includedir /etc/loop.d\n")
    assert both.ours() == both.theirs()
