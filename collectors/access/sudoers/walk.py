"""Every sudoers file that the main one leads to, in the order in which sudo reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal, Union

import msgspec

from collectors.access.sudoers.files import DEPTH, REFUSALS, Ignored, included, is_skipped, unsafe
from collectors.access.sudoers.grammar import Parser, is_unfinished
from collectors.access.sudoers.model import Include, Statement
from collectors.access.sudoers.source_text import text_of
from collectors.access.sudoers.sudo_conf import Configuration
from collectors.contract import Gap, Reason, path_gap
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.facts import Content, Facts
from collectors.reading.host import MIB, Host

FILES = 1000
FILE_BYTES = 4 * MIB
ALL_BYTES = 6 * MIB

_UNFINISHED = (
    "the file ends in a line to be continued: sudo joins to it what it reads next, or refuses everybody if nothing "
    "follows; that is not shown"
)
_NO_POLICY = "sudo refuses everybody, for it has no policy without this file"
_NO_FILES = "sudo takes no rule from its files, for it has no policy without this one"
_GOES_ON: dict[Ignored | None, str] = {None: "; sudo goes on after it"}
LOOP = f"the file includes itself; sudo reads it again up to {DEPTH} times, which is not shown"


class Place(msgspec.Struct, frozen=True):
    """A file or folder; one that is included twice is read twice, as sudo does. `ignored`: why sudo does not."""

    path: str
    reading: int
    ignored: Ignored | None = None


class Seen(msgspec.Struct, frozen=True):
    """A file or folder where sudo looks. `unread`: what stands in it is not in the table."""

    place: Place
    kind: Literal["file", "folder"]
    facts: Facts | None
    unread: bool = False


class Line(msgspec.Struct, frozen=True):
    """One statement; if it is an include, with the path that it means, unless that is not known."""

    place: Place
    statement: Statement
    target: str | None = None


Steps = Iterator[Union[Seen, Line, Gap, "Steps"]]
"""What a part of the walk yields: events, and the parts that come next."""


class Walk:
    """One reading of the files of a host. `host_name` gives the short name that `%h` stands for."""

    def __init__(self, host: Host, configuration: Configuration, host_name: Callable[[], str | None]) -> None:
        self._host = host
        self._configuration = configuration
        self._host_name = host_name
        self._readings: Counter[str] = Counter()
        self._open: list[str] = []
        self._left = ALL_BYTES
        self._full = False

    def events(self, path: str, ignored: Ignored | None = None) -> Iterator[Seen | Line | Gap]:
        """Yield a file, then what stands in it and in what it includes; `ignored` is why sudo acts on none of it."""
        steps = [self._file(path, ignored)]
        while steps:  # a loop: generators within generators would be as deep as the includes
            step = next(steps[-1], None)
            if step is None:
                steps.pop()
            elif isinstance(step, (Seen, Line, Gap)):
                yield step
            else:
                steps.append(step)

    def _file(self, path: str, ignored: Ignored | None) -> Steps:
        """Yield a file; `ignored` is why sudo does not come here."""
        if self._readings.total() >= FILES:
            if not self._full:
                yield path_gap(path, "truncated", f"expected at most {FILES} files, found more")
            self._full = True
            return
        self._readings[path] += 1
        if len(self._open) > DEPTH:
            yield Seen(self._place(path, ignored or "too_deep"), "file", self._facts(path), unread=True)
            yield path_gap(path, "malformed", f"sudo leaves it out: more than {DEPTH} includes lie around it")
            return
        try:
            content = self._host.read(path, limit=max(1, min(FILE_BYTES, self._left)))
        except ReadError as error:
            yield self._unread(path, ignored, error)
            return
        self._left -= len(content.data)
        yield self._read(content, path, ignored)

    def _read(self, content: Content, path: str, ignored: Ignored | None) -> Steps:
        refusal = self._unsafe(content.facts, "file")
        text, gaps = text_of(content)
        unfinished = is_unfinished(text)
        yield Seen(self._place(path, ignored or refusal), "file", content.facts)
        yield from gaps
        if refusal:
            yield path_gap(path, _reason(refusal), f"sudo leaves it out: {REFUSALS[refusal]}")
        if unfinished:
            yield path_gap(path, "malformed", _UNFINISHED)
        if not self._open and (refusal or unfinished):
            yield from self._no_policy(path, ignored)
            refusal = "policy_refused"
        place = self._place(path, ignored or refusal)
        self._open.append(path)
        for statement in Parser(text).statements():
            yield self._statement(place, statement)
        self._open.pop()

    def _unread(self, path: str, ignored: Ignored | None, error: ReadError) -> Steps:
        """Yield what can be said of a file that gave nothing; one we may not read is no less sudo's."""
        found: Ignored | None = None
        if error.reason in ("absent", "not_regular"):
            found = "absent" if error.reason == "absent" else "not_regular"
        yield Seen(self._place(path, ignored or found), "file", self._facts(path), unread=True)
        yield error.gap()
        if found and not self._open:
            yield from self._no_policy(path, ignored)

    def _no_policy(self, path: str, ignored: Ignored | None) -> Iterator[Gap]:
        """Yield what it means that sudo does not take its main file, unless nothing hangs on it anyway."""
        if ignored is None:
            yield path_gap(path, "malformed", _NO_FILES if self._configuration.other_sources else _NO_POLICY)

    def _statement(self, place: Place, statement: Statement) -> Steps:
        for problem in statement.problems:
            detail = f"expected {problem.expected}, found {problem.found}{_GOES_ON.get(place.ignored, '')}"
            yield path_gap(place.path, "malformed", detail, line=problem.line)
        if not isinstance(statement.content, Include):
            yield Line(place, statement)
            return
        target = included(statement.content.path, by=place.path, host_name=self._host_name)
        yield Line(place, statement, target)
        if target is None:
            yield path_gap(place.path, "absent", "expected the host's name for %h, found none", line=statement.line)
        elif statement.content.folder:
            yield self._folder(target, place.ignored)
        elif target in self._open:
            yield path_gap(place.path, "malformed", LOOP, line=statement.line)
        else:
            yield self._file(target, place.ignored)

    def _folder(self, path: str, ignored: Ignored | None) -> Steps:
        self._readings[path] += 1
        try:
            facts = self._host.look(path, follow=True)
            refusal = self._unsafe(facts, "folder")
            names = self._host.names(path, limit=FILES) if facts.kind == "folder" else []
        except AbsentError:
            yield Seen(self._place(path, ignored or "absent"), "folder", None)
            return
        except ReadError as error:
            yield Seen(self._place(path, ignored), "folder", self._facts(path), unread=True)
            yield error.gap()
            return
        yield Seen(self._place(path, ignored or refusal), "folder", facts)
        if refusal:
            yield path_gap(path, _reason(refusal), f"sudo leaves the folder out: {REFUSALS[refusal]}")
        for name in names:  # sorted by bytes, as sudo does with strcmp(3)
            yield self._entry(f"{path}/{name}", name, ignored or refusal)

    def _entry(self, path: str, name: str, ignored: Ignored | None) -> Steps:
        """Yield one entry of an included folder; sudo passes over some without a word."""
        facts = self._facts(path)
        if is_skipped(name):
            self._readings[path] += 1
            yield Seen(self._place(path, ignored or "name_skipped"), "file", facts)
        elif facts is not None and facts.kind != "file":
            self._readings[path] += 1
            yield Seen(self._place(path, ignored or "not_regular"), "file", facts)
        elif path in self._open:
            yield path_gap(path, "malformed", LOOP)
        else:
            yield self._file(path, ignored)

    def _place(self, path: str, ignored: Ignored | None) -> Place:
        return Place(path, self._readings[path], ignored)

    def _facts(self, path: str) -> Facts | None:
        try:
            return self._host.look(path, follow=True)
        except ReadError:
            return None

    def _unsafe(self, facts: Facts, kind: Literal["file", "folder"]) -> Ignored | None:
        return unsafe(facts, kind, uid=self._configuration.uid, gid=self._configuration.gid)


def _reason(refusal: Ignored) -> Reason:
    """Return the reason of a gap about a file or folder that is left out for what it is or whose."""
    return "not_regular" if refusal == "not_regular" else "untrusted"
