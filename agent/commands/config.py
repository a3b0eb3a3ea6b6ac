"""`evidenced config`: whether the configuration is in order, and what is in effect."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator

from agent.configuration.digest import digest
from agent.configuration.effective import Effective, effective
from agent.configuration.loading import Loaded, load, take_judgements
from agent.configuration.problems import key_text
from agent.configuration.secrets import judge_files
from agent.terminal import counted
from collectors.catalogue import all_tables
from program.errors import OK, WRONG_USE, CommandError
from program.text import columns, printable

ACTIONS = {
    "check": "say everything that is wrong: file, line, setting, what was expected and what was found",
    "show": "print each setting that is in effect, and where it comes from",
}

EPILOG = """\
Without FILE: /etc/evidenced/agent.toml and conf.d/*.toml beside it for root, else those of $XDG_CONFIG_HOME/evidenced.
Manual: evidenced.toml(5).

exit codes: 0 fine (there may be warnings), 2 there are problems"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.epilog = EPILOG
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, text in ACTIONS.items():
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
        action.add_argument("file", nargs="?", metavar="FILE", help="main file; conf.d stands beside it")
        action.add_argument("--config", metavar="FILE", help="the same")
        action.add_argument("--json", action="store_true", help="print JSON, one object a line")


def run(options: argparse.Namespace) -> int:
    """Check or show."""
    if options.file is not None and options.config is not None:
        raise CommandError("expected FILE or --config FILE, found both", WRONG_USE)
    loaded = load(options.config if options.file is None else options.file, all_tables())
    take_judgements(loaded, judge_files(loaded.configuration))
    return (_check if options.action == "check" else _show)(loaded, as_json=options.json)


def _show(loaded: Loaded, *, as_json: bool) -> int:
    if loaded.problems:
        sys.stderr.writelines(f"{each}\n" for each in loaded.problems)
        return WRONG_USE
    for line in _shown_json(loaded) if as_json else _shown(loaded):
        print(line)
    return OK


def _check(loaded: Loaded, *, as_json: bool) -> int:
    """Print problems, then warnings: they are what was asked for, so they are data."""
    for weight, problems in (("problem", loaded.problems), ("warning", loaded.warnings)):
        for each in problems:
            facts = {
                "expected": each.expected,
                "file": each.place.file,
                "found": each.found,
                "hint": each.hint,
                "key": key_text(each.key),
                "line": each.place.line,
                "weight": weight,
            }
            print(json.dumps(facts) if as_json else f"{'✗' if weight == 'problem' else '!'} {each}")
    if not as_json:
        print(_verdict(loaded))
    return WRONG_USE if loaded.problems else OK


def _verdict(loaded: Loaded) -> str:
    files = counted(len(loaded.files), "file") if loaded.files else f"no file at {printable(loaded.main)}: all defaults"
    if loaded.problems:
        return f"✗ {counted(len(loaded.problems), 'problem')} in {files}"
    warnings = f", {counted(len(loaded.warnings), 'warning')}" if loaded.warnings else ""
    return f"✓ {files}{warnings}; digest {digest(loaded.configuration)}"


def _shown(loaded: Loaded) -> Iterator[str]:
    yield f"# digest {digest(loaded.configuration)}"
    yield from columns(
        [(f"{key_text(each.key)} = {printable(each.text)}", _source(each)) for each in effective(loaded)]
    )


def _source(each: Effective) -> str:
    return "# default" if each.place is None else f"# {printable(str(each.place))}"


def _shown_json(loaded: Loaded) -> Iterator[str]:
    for each in effective(loaded):
        facts = {
            "default": each.place is None,
            "file": None if each.place is None else each.place.file,
            "key": key_text(each.key),
            "line": None if each.place is None else each.place.line,
            "value": each.value,
        }
        yield json.dumps(facts)
