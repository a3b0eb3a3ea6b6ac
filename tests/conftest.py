"""What every test may ask for, and the loud account of what this machine could not run."""

from __future__ import annotations

import fnmatch
import os
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/usr/local/sbin"))
# CI looks at the same examples each time, so that a change is judged and not the dice; elsewhere they are new.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")

APART = {
    Path(__file__).parent / "booted": "make test-booted",
    Path(__file__).parent / "packages": "make test-booted",
    Path(__file__).parent / "faults": "make test-faults",
}
"""Runs of their own, and what starts them: they boot root trees, or break a whole running system."""

# Under nohup, or as a job in the background, these are ignored, by every child too: tests that send them would wait.
for _each in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_each) == signal.SIG_IGN:
        signal.signal(_each, signal.default_int_handler if _each == signal.SIGINT else signal.SIG_DFL)

# Children have the buffered streams that users have: what is left in them at the end is a case of its own.
os.environ.pop("PYTHONUNBUFFERED", None)

# What tests write stands for what an administrator wrote; of a file that its group may write (002) little is taken.
os.umask(0o022)

EXPECTED_SKIPS = Path(__file__).parent / "expected-skips.toml"


def program(name: str) -> str | None:
    """Return the path of a program that a comparison needs, also from the folders only root has on PATH."""
    return shutil.which(name, path=SBIN)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let CI insist that every skip is one we know of."""
    parser.addoption(
        "--listed-skips",
        action="store_true",
        help="fail on a skip that tests/expected-skips.toml does not list, and on a listed one that ran",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what has a run of its own unless it is asked for by name."""
    return True if collection_path in APART and not is_asked(collection_path, config) else None


def is_asked(folder: Path, config: pytest.Config) -> bool:
    """Return whether the command line names a folder, or something in it."""
    return any(folder in (each, *each.parents) for each in named(config))


def named(config: pytest.Config) -> list[Path]:
    """Return what the command line names."""
    return [Path(each.partition("::")[0]).resolve() for each in config.args]


def left_out(config: pytest.Config) -> list[str]:
    """Return the runs of their own that would have been among what was asked for, with what starts each."""
    within = [each for each in APART if not is_asked(each, config) and set(named(config)) & set(each.parents)]
    return [f"{each.relative_to(config.rootpath)}/ is a run of its own: {APART[each]}" for each in within]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run; each reason is fixed text, so that CI can hold a list of them."""
    if item.get_closest_marker("needs_root") and os.geteuid() != 0:
        pytest.skip("needs root")
    for mark in item.iter_markers("needs_program"):
        for name in mark.args:
            if program(name) is None:
                pytest.skip(f"needs program {name}")


def skips(terminal: Any) -> list[tuple[str, str]]:
    """Return (test, reason) of all that was skipped."""
    found = []
    for report in terminal.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        found.append((report.nodeid, reason.removeprefix("Skipped: ")))
    return found


def unlisted(found: list[tuple[str, str]], ran: set[str]) -> list[str]:
    """Return what is wrong between the skips of this run and the list of those we know of."""
    listed = tomllib.loads(EXPECTED_SKIPS.read_text("utf-8")).get("skip", [])
    problems = [
        f"skipped and not listed: {test}: {reason}"
        for test, reason in found
        if not any(fnmatch.fnmatchcase(test, each["test"]) and reason == each["reason"] for each in listed)
    ]
    problems += [
        f"listed as skipped and ran: {each['test']}" for each in listed if fnmatch.filter(sorted(ran), each["test"])
    ]
    return problems


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Count what was skipped, by reason, at the very end where it is seen."""
    found = skips(terminalreporter)
    if found:
        terminalreporter.section(f"{len(found)} tests could not run on this machine")
        for reason, count in sorted(Counter(reason for _, reason in found).items()):
            terminalreporter.line(f"{count:5}  {reason}")
    for line in left_out(config):
        terminalreporter.line(line)
    if config.getoption("--listed-skips"):
        ran = {report.nodeid for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])}
        for problem in unlisted(found, ran):
            terminalreporter.line(problem, red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if the skips are not the expected ones."""
    if not session.config.getoption("--listed-skips") or hasattr(session.config, "workerinput"):
        return
    terminal: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    ran = {report.nodeid for kind in ("passed", "failed") for report in terminal.stats.get(kind, [])}
    if unlisted(skips(terminal), ran) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
