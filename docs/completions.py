"""Completions of bash, zsh and fish, written from the commands' own options: nothing in them is typed by hand.

What can be said of a value is said: files and folders by the option's metavar, choices, names of tables and of events.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import agent.main
import hub.main
from agent.commands.record import BY_HAND
from collectors.catalogue import all_tables

FOLDER, FILE, NOTHING = "folders", "files", "nothing"
HEAD = "written by `make docs` from the commands' own options"
_HARMLESS = str.maketrans("[]:", "();", "'`\\")
_PATHS = {"DIR": FOLDER, "FILE": FILE}


@dataclass(frozen=True)
class Option:
    """One option: its spellings, what it does, and what value it takes."""

    names: Sequence[str]
    help: str
    value: str | Sequence[str] | None
    """None: it takes none; else FOLDER, FILE, NOTHING (not known), or the words it can be."""


@dataclass
class Node:
    """A command, or a command of a command, and what may follow it."""

    path: tuple[str, ...]
    options: list[Option] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)
    """Words that may follow, with what they do."""
    files: bool = False
    """Whether a path may follow."""


def tree(program: str) -> list[Node]:
    """Return the program itself and all its commands, each before its own."""
    package, commands = (
        ("agent.commands", agent.main.COMMANDS) if program == "evidenced" else ("hub.commands", hub.main.COMMANDS)
    )
    top = Node((), [Option(("-h", "--help"), "show help", None)], dict(commands))
    if program == "evidenced":
        top.options.append(Option(("--version",), "show the version", None))
    found = [top]
    for name in commands:
        parser = argparse.ArgumentParser()
        importlib.import_module(f"{package}.{name.replace('-', '_')}").declare(parser)
        found += _nodes((name,), parser)
    return found


def _nodes(path: tuple[str, ...], parser: argparse.ArgumentParser) -> Iterator[Node]:
    node = Node(path)
    below: list[Node] = []
    for action in parser._actions:  # noqa: SLF001  argparse has no public way to list them
        if action.help == argparse.SUPPRESS:
            continue
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {each.dest: each.help or "" for each in action._choices_actions}  # noqa: SLF001
            for name, child in action.choices.items():
                node.words[name] = _plain(helps.get(name, ""))
                below += _nodes((*path, name), child)
        elif action.option_strings:
            value = None if action.nargs == 0 else _value(action)
            node.options.append(Option(action.option_strings, _plain(action.help or ""), value))
        else:
            value = _value(action)
            node.files = node.files or value in {FOLDER, FILE} or action.nargs == argparse.REMAINDER
            if not isinstance(value, str):
                node.words |= dict.fromkeys(value, "")
    yield node
    yield from below


def _value(action: argparse.Action) -> str | Sequence[str]:
    if action.choices is not None:
        return tuple(map(str, action.choices))
    if action.metavar == "NAME" and (action.dest == "table" or not action.option_strings):
        return tuple(sorted(each.name for each in all_tables()))
    if action.metavar == "EVENT":
        return tuple(BY_HAND)
    return _PATHS.get(str(action.metavar), NOTHING)


def _plain(text: str) -> str:
    """Return a help text without what one of the shells would not take between its quotes."""
    return text.replace("%%", "%").translate(_HARMLESS)


def _function(program: str) -> str:
    return "_" + program.replace("-", "_")


def bash(program: str) -> str:
    """Return the completion of bash; it needs no library of others."""
    nodes, name = tree(program), _function(program)
    lines = [
        f"# bash completion of {program}; {HEAD}",
        f"{name}() {{",
        "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}",
        "    local path='' word words='' kind=''",
        "    COMPREPLY=()",
        '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        '        case "$path/$word" in',
    ]
    lines += [f"            {'/'.join(('', *each.path))}) path=$path/$word;;" for each in nodes if each.path]
    lines += ["        esac", "    done", '    case "$path $previous" in']
    for each in nodes:
        for option in each.options:
            if option.value is not None:
                patterns = "|".join(f"'{'/'.join(('', *each.path))} {spelled}'" for spelled in option.names)
                lines.append(f"        {patterns}) {_bash_value(option.value)};;")
    lines += ["        *)", '            case "$path" in']
    for each in nodes:
        spelled = [*each.words, *(text for option in each.options for text in option.names)]
        kind = f"; kind={FILE}" if each.files else ""
        lines.append(f"                '{'/'.join(('', *each.path)).rstrip('/')}') words='{' '.join(spelled)}'{kind};;")
    lines += [
        "            esac;;",
        "    esac",
        '    case "$kind" in',
        f'        {FILE}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current");;',
        f'        {FOLDER}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current");;',
        "    esac",
        '    [ -n "$words" ] || return 0',
        '    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$words" -- "$current")',
        "}",
        f"complete -F {name} {program}",
        "",
    ]
    return "\n".join(lines)


def _bash_value(value: str | Sequence[str]) -> str:
    if not isinstance(value, str):
        return f"words='{' '.join(value)}'"
    return f"kind={value}"


def zsh(program: str) -> str:
    """Return the completion of zsh."""
    nodes, name = tree(program), _function(program)
    lines = [f"#compdef {program}", f"# zsh completion of {program}; {HEAD}", ""]
    for each in nodes:
        commands = [other for other in nodes if other.path[:-1] == each.path and other.path]
        lines += [f"{'_'.join((name, *each.path)).replace('-', '_')}() {{"]
        if commands:
            lines += ["    local state line", "    _arguments -C \\"]
        else:
            lines.append("    _arguments -s \\")
        lines += [f"        {_zsh_option(option)} \\" for option in each.options]
        if commands:
            lines += ["        '1: :->command' '*:: :->rest'", "    case $state in", "        command)"]
            shown = " ".join(f"'{word}:{_plain(text)}'" for word, text in each.words.items())
            lines += [f"            local -a words_here=({shown})", "            _describe command words_here;;"]
            lines += ["        rest)", "            case $line[1] in"]
            for other in commands:
                function = "_".join((name, *other.path)).replace("-", "_")
                lines.append(f"                {other.path[-1]}) {function};;")
            lines += ["            esac;;", "    esac"]
        else:
            words = f"'*: :({' '.join(each.words)})'" if each.words else "'*: :'"
            lines.append("        '*: :_files'" if each.files and not each.words else f"        {words}")
        lines += ["}", ""]
    lines += [f'{name} "$@"', ""]
    return "\n".join(lines)


def _zsh_option(option: Option) -> str:
    value = ""
    if option.value is not None:
        what = {FOLDER: "_files -/", FILE: "_files", NOTHING: ""}
        value = f": :{what[option.value] if isinstance(option.value, str) else '(' + ' '.join(option.value) + ')'}"
    return " ".join(f"'*{name}[{option.help}]{value}'" for name in option.names)


def fish(program: str) -> str:
    """Return the completion of fish."""
    nodes = tree(program)
    lines = [f"# fish completion of {program}; {HEAD}", f"complete -c {program} -f"]
    for each in nodes:
        tests = [f"__fish_seen_subcommand_from {word}" for word in each.path]
        if each.words and any(other.path[:-1] == each.path and other.path for other in nodes):
            tests.append(f"not __fish_seen_subcommand_from {' '.join(each.words)}")
        condition = f" -n '{'; and '.join(tests)}'" if tests else ""
        for word, text in each.words.items():
            described = f" -d '{_plain(text)}'" if text else ""
            lines.append(f"complete -c {program}{condition} -a '{word}'{described}")
        if each.files:
            lines.append(f"complete -c {program}{condition} -F")
        lines += [f"complete -c {program}{condition} {_fish_option(option)}" for option in each.options]
    return "\n".join([*lines, ""])


def _fish_option(option: Option) -> str:
    words = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
    if option.value in {FOLDER, FILE}:
        words.append("-r -F" if option.value == FILE else "-x -a '(__fish_complete_directories)'")
    elif option.value is not None:
        words.append("-x" if isinstance(option.value, str) else f"-x -a '{' '.join(option.value)}'")
    return " ".join([*words, f"-d '{option.help}'"])


def files() -> Iterator[tuple[str, str]]:
    """Yield (name of the file in packaging/completions, what it should be)."""
    for program in ("evidenced", "evidenced-hub"):
        yield f"{program}.bash", bash(program)
        yield f"_{program}", zsh(program)
        yield f"{program}.fish", fish(program)
