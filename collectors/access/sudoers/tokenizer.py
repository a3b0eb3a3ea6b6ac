"""sudoers text into tokens, as sudo's tokenizer makes them, with its states and its line count."""

from __future__ import annotations

import msgspec

from collectors.access.sudoers import patterns
from collectors.access.sudoers.escapes import command_path, unescaped
from collectors.access.sudoers.rules import OPTIONS, candidates
from collectors.access.sudoers.tokens import Kind, State, Token

_SCOPES: dict[str, Kind] = {"": "Defaults", "@": "Defaults@", ":": "Defaults:", ">": "Defaults>", "!": "Defaults!"}
_ALIASES: dict[str, Kind] = {"U": "User_Alias", "R": "Runas_Alias", "H": "Host_Alias", "C": "Cmnd_Alias"}
_DIGEST_BYTES = {"sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64}
_SIMPLE: dict[str, Kind] = {"network": "network", "all": "all", "alias": "alias", "setting_name": "default_name"}
_NAMED: dict[str, Kind] = {"netgroup": "netgroup", "group": "group", "word": "word", "included_path": "word"}


class _Command(msgspec.Struct):
    """A command being read: its path, and its arguments as far as they are known."""

    path: str
    parts: list[str] = []

    def add(self, text: str, *, spaced: bool = False) -> None:
        self.parts.append(f" {text}" if spaced and self.parts else text)


class Tokenizer:
    """Gives one token after the other; after the last it gives `eof` for ever.

    `options` are the names of command options that the sudo of the host knows; another is an alias to it.
    """

    def __init__(self, text: str, *, options: frozenset[str] = frozenset(OPTIONS)) -> None:
        # sudo reads line by line, ends each at a NUL, and adds the newline that the last may lack.
        lines = [line.partition("\0")[0] for line in text.split("\n")]
        ended = not text or text.endswith("\n")
        self._text = "\n".join(lines if ended else [*lines, ""])
        self._unended = len(self._text) - (0 if ended else len(lines[-1]) + 1)  # where a line that lacks it begins
        self._options = options
        self._at = 0
        self._line = 1
        self._state: State = "INITIAL"
        self._before: State = "INITIAL"  # the state to go back to from a string or a path
        self._continued = False
        self._spaced = False
        self._inside = -1  # a place that is no line start, although a newline precedes it
        self._barren = (-1, -1)  # no regular expression that begins between these ends before the second
        self._command = _Command("")
        self._string: list[str] = []
        self._sha = ""

    def next(self) -> Token:
        """Return the next token."""
        while (begin := self._at) < len(self._text):
            rule, self._at = self._longest(begin)
            token = self._act(rule, begin)
            if token is not None:
                return token
        return Token("eof", "", self._line)

    def _longest(self, at: int) -> tuple[str, int]:
        """Return the rule with the longest match at a place, the first of equal ones, and where it ends."""
        line_start = (at == 0 or self._text[at - 1] == "\n") and at != self._inside
        best, end = "no_match", -1
        for rule in candidates(self._state, self._text[at], line_start=line_start):
            found = rule.match(self._text, at)
            if found > end:
                best, end = rule.name, found
        if self._text[at] == "^" and self._state in ("INITIAL", "GOTDEFS", "WANTDIGEST", "EXPECTPATH"):
            found = self._regex(at)
            if found > end or (found == end and best == "word"):
                return "bare_command" if self._state == "GOTDEFS" else "command", found
        return best, end

    def _regex(self, at: int) -> int:
        """Return where a regular expression ends, looking through each part of a line once only."""
        if self._barren[0] <= at < self._barren[1]:
            return -1
        end, seen = patterns.regex(self._text, at)
        self._barren = (max(end, at), seen)
        return end

    def _act(self, rule: str, begin: int) -> Token | None:
        text = self._text[begin : self._at]
        if rule in _SIMPLE:
            if rule == "setting_name":
                self._state = "INDEFS"
            return self._token(_SIMPLE[rule], text)
        if rule in _NAMED:
            if rule == "included_path":
                self._state = "INITIAL"
            return self._token(_NAMED[rule], unescaped(text))
        action = getattr(self, f"_on_{rule}")
        token: Token | None = action(text, begin)
        return token

    def _token(self, kind: Kind, text: str) -> Token:
        return Token(kind, text, self._line)

    def _error(self, why: str) -> Token:
        return self._token("error", why)

    # Lines

    def _on_newline(self, text: str, begin: int) -> Token:
        if self._state == "INSTR":
            self._state, self._at = "INITIAL", begin
            return self._error("a line break in a string")
        return self._end_line(text)

    def _on_comment(self, text: str, begin: int) -> Token:
        if text.endswith("\n"):
            return self._end_line(text)
        if begin >= self._unended:  # at the end of the file sudo takes a `#` alone for the end of a line, and reads on
            return self._token("newline", text)
        return self._error("a number or a comment")

    def _end_line(self, text: str) -> Token:
        token = self._token("newline", text)
        self._state, self._continued = "INITIAL", False
        self._line += 1
        return token

    def _on_continued(self, _text: str, _begin: int) -> None:
        self._line += 1
        self._continued = self._spaced = True

    _on_string_continued = _on_continued

    def _on_blank(self, _text: str, _begin: int) -> None:
        self._spaced = True

    def _on_no_match(self, _text: str, _begin: int) -> Token:
        return self._error("a character that cannot stand there")

    def _on_not(self, text: str, _begin: int) -> Token | None:
        return self._token("!", text) if len(text) % 2 else None

    def _on_punctuation(self, text: str, _begin: int) -> Token:
        kinds: dict[str, Kind] = {"=": "=", ":": ":", "(": "(", ")": ")", ",": ",", "+=": "+=", "-=": "-="}
        return self._token(kinds[text], text)

    # What a line begins with

    def _on_include(self, text: str, begin: int) -> Token:
        if self._continued:
            return self._error("an include after a continued line")
        folder = text.startswith("includedir", 1)
        self._at = self._inside = begin + len("@includedir" if folder else "@include")
        self._state = "GOTINC"
        return self._token("includedir" if folder else "include", "")

    def _on_defaults(self, text: str, begin: int) -> Token:
        if self._continued:
            return self._error("Defaults after a continued line")
        bare = text.lstrip(" \t")
        scope = bare[len("Defaults") : len("Defaults") + 1]
        if scope:
            rest = bare[len("Defaults") + 1 :].lstrip(" \t")
            self._at = begin + len(text) - len(rest)
        self._state = "GOTDEFS"
        return self._token(_SCOPES[scope], "")

    def _on_alias_kind(self, text: str, _begin: int) -> Token:
        if self._continued:
            return self._error("an alias definition after a continued line")
        return self._token(_ALIASES[text.lstrip(" \t")[0]], "")

    # Defaults

    def _on_comma(self, text: str, _begin: int) -> Token:
        return self._token(",", text)

    def _on_to_settings(self, _text: str, _begin: int) -> None:
        self._state = "STARTDEFS"

    def _on_next_setting(self, text: str, _begin: int) -> Token:
        self._state = "STARTDEFS"
        return self._token(",", text)

    def _on_bare_command(self, text: str, _begin: int) -> Token:
        return self._token("command", command_path(text))

    # Names

    def _on_tag(self, text: str, _begin: int) -> Token:
        return self._token("tag", text.rstrip(": \t"))

    def _on_empty_name(self, text: str, _begin: int) -> Token:
        return self._error("an empty netgroup" if text == "+" else "an empty group")

    def _on_network6(self, text: str, _begin: int) -> Token:
        # "::" may stand once in an address; ":::" counts twice.
        if any(part.count("::") + part.count(":::") > 1 for part in text.split("/")):
            return self._error("an invalid IPv6 address")
        return self._token("network", text)

    def _on_option(self, text: str, _begin: int) -> Token:
        if text not in self._options:
            return self._token("alias", text)
        if text in ("CWD", "CHROOT"):
            self._before, self._state = self._state, "EXPECTPATH"
        return self._token("option", text)

    def _on_expected_path(self, text: str, _begin: int) -> Token:
        self._state = self._before
        return self._token("word", unescaped(text))

    def _on_sha(self, text: str, _begin: int) -> Token:
        self._sha, self._state = text, "WANTDIGEST"
        return self._token("sha", text)

    def _on_digest(self, text: str, _begin: int) -> Token | None:
        size = _DIGEST_BYTES[self._sha]
        hexadecimal = all(each in "0123456789abcdefABCDEF" for each in text)
        base64 = 4 * ((size + 2) // 3) if text.endswith("=") else (4 * size + 2) // 3
        self._state = "INITIAL"
        return self._token("digest", text) if len(text) == (2 * size if hexadecimal else base64) else None

    # Strings

    def _on_string(self, _text: str, _begin: int) -> None:
        self._before = "INITIAL" if self._state == "GOTINC" else self._state
        self._state, self._string = "INSTR", []

    def _on_string_text(self, text: str, _begin: int) -> None:
        self._string.append(text.replace('\\"', '"'))

    def _on_string_end(self, _text: str, _begin: int) -> Token:
        self._state, text = self._before, "".join(self._string)
        if not text:
            return self._error("an empty string")
        if self._before in ("INITIAL", "GOTDEFS") and text[0] in "%+":
            if text in ("%", "%:", "+"):
                return self._error("an empty group or netgroup")
            return self._token("group" if text[0] == "%" else "netgroup", text)
        return self._token("word", text)

    # Commands and their arguments

    def _on_command(self, text: str, _begin: int) -> Token | None:
        self._command = _Command(command_path(text))
        if text.startswith("/") and text.endswith("/"):  # a folder takes no arguments
            return self._end_command()
        self._state = "GOTCMND"
        return None

    def _end_command(self) -> Token:
        self._state = "INITIAL"
        arguments = "".join(self._command.parts) if self._command.parts else None
        return Token("command", self._command.path, self._line, arguments)

    def _on_command_end(self, _text: str, begin: int) -> Token:
        self._at = self._inside = begin
        return self._end_command()

    def _argument(self, text: str) -> None:
        self._command.add(text, spaced=self._spaced)
        self._spaced = False

    def _on_escaped_glob(self, text: str, _begin: int) -> None:
        self._argument(text)

    def _on_escaped_special(self, text: str, _begin: int) -> None:
        self._argument(text[1])

    def _on_argument(self, text: str, begin: int) -> None:
        if text.startswith("^") and not self._command.parts:
            self._state, self._at, self._inside = "GOTREGEX", begin, begin
        else:
            self._argument(text)

    def _on_regex_text(self, text: str, _begin: int) -> None:
        if self._continued and not text.startswith("\\"):
            text, self._continued = text.lstrip(" \t"), False
        if text:
            self._command.add(text)

    def _on_regex_broken(self, _text: str, begin: int) -> Token:
        self._at = self._inside = begin
        self._state = "INITIAL"
        return self._error("a regular expression without its end")

    def _on_regex_end(self, _text: str, _begin: int) -> Token:
        self._command.add("$")
        self._continued = False
        return self._end_command()
