"""What a piece of sudoers text can be: the kinds of token, and the states of the tokenizer, under sudo's names."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal[
    "alias", "all", "command", "default_name", "digest", "group", "netgroup", "network", "word",  # carry text
    "sha", "tag", "option",  # carry their own name
    "Defaults", "Defaults@", "Defaults:", "Defaults>", "Defaults!",
    "User_Alias", "Runas_Alias", "Host_Alias", "Cmnd_Alias",
    "include", "includedir",
    ",", ":", "=", "+=", "-=", "!", "(", ")",
    "newline", "eof",
    "error",  # what the tokenizer itself refuses; its text says why
]  # fmt: skip

State = Literal[
    "INITIAL",
    "GOTDEFS",  # after Defaults, up to the blank before the first setting
    "STARTDEFS",  # where a setting's name must stand
    "INDEFS",  # after a setting's name
    "GOTCMND",  # in a command's arguments
    "GOTREGEX",  # in arguments that are a regular expression
    "INSTR",  # between double quotes
    "WANTDIGEST",
    "GOTINC",  # before the path of an include
    "EXPECTPATH",  # after CWD or CHROOT
]


class Token(NamedTuple):
    """One token; `line` is the line on which it ends, as sudo counts in its messages."""

    kind: Kind
    text: str
    line: int
    arguments: str | None = None
    """Of a command: None if any are allowed, `""` (two quotes) if none."""
