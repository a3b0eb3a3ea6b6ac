"""One document against the shape of the configuration: every setting that is good, and every problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent.configuration.forms import Form, FormError, found
from agent.configuration.problems import Key, Place, Problem, suggestion
from agent.configuration.schema import Group, Kinds, Leaf, Named, Node, schema

MOST = 100
"""Problems of one file that are told."""


class Checker:
    """Walks one document; `place_of` gives the place of a key in its file."""

    def __init__(self, place_of: Callable[[Key], Place]) -> None:
        self.problems: list[Problem] = []
        self.good_entries: dict[Key, list[int]] = {}
        """For each array of tables, which of its entries were good."""
        self._place_of = place_of

    def check(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the document with the values that the program works with; what is wrong is left out of it."""
        return self._group(schema(), document, ())

    def _value(self, node: Node, value: Any, key: Key) -> Any:
        if isinstance(node, Leaf):
            return self._leaf(node, value, key)
        if isinstance(node, Kinds):
            return self._kinds(node, value, key)
        if not isinstance(value, dict):
            self._report(key, "a table", found(value, quote=False))
            return None
        return self._group(node, value, key) if isinstance(node, Group) else self._named(node, value, key)

    def _leaf(self, leaf: Leaf, value: Any, key: Key) -> Any:
        try:
            return leaf.form.read(value)
        except FormError as error:
            self._report(key, leaf.form.expected, str(error))
            return None

    def _group(self, group: Group, value: dict[str, Any], key: Key) -> dict[str, Any]:
        read = {}
        for name, each in value.items():
            node = group.fields.get(name)
            if node is None:
                self._report((*key, name), "the name of a setting", "another", suggestion(name, group.fields))
            else:
                read[name] = self._value(node, each, (*key, name))
        for name, node in group.fields.items():
            if isinstance(node, Leaf) and node.required and name not in value:
                self._report(key, f"{name} = {node.form.expected}", "none")
        return _without_none(read)

    def _named(self, named: Named, value: dict[str, Any], key: Key) -> dict[str, Any]:
        read = {}
        for name, each in value.items():
            if _fits(named.name, name):
                read[name] = self._value(named.each, each, (*key, name))
            else:
                self._report((*key, name), f"a name of {named.name.expected}", "another")
        return _without_none(read)

    def _kinds(self, kinds: Kinds, value: Any, key: Key) -> list[dict[str, Any]]:
        """Return the entries that are good as a whole: half a sink is none."""
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self._report(key, f"an array of tables: [[{key[-1]}]]", found(value))
            return []
        good, numbers = [], self.good_entries.setdefault(key, [])
        for number, each in enumerate(value):
            before = len(self.problems)
            read = self._kind(kinds, each, (*key, number))
            if read is not None and len(self.problems) == before:
                good.append(read)
                numbers.append(number)
        return good

    def _kind(self, kinds: Kinds, value: dict[str, Any], key: Key) -> dict[str, Any] | None:
        tag = value.get(kinds.tag)
        expected = " or ".join(f'"{each}"' for each in kinds.kinds)
        if tag is None:
            self._report(key, f"{kinds.tag} = {expected}", "none")
            return None
        if not isinstance(tag, str) or tag not in kinds.kinds:
            hint = suggestion(tag, kinds.kinds) if isinstance(tag, str) else ""
            self._report((*key, kinds.tag), expected, found(tag), hint)
            return None
        rest = {name: each for name, each in value.items() if name != kinds.tag}
        return {kinds.tag: tag, **self._group(kinds.kinds[tag], rest, key)}

    def _report(self, key: Key, expected: str, found: str, hint: str = "") -> None:
        if len(self.problems) < MOST:
            self.problems.append(Problem(self._place_of(key), key, expected, found, hint))


def _fits(form: Form, name: str) -> bool:
    try:
        form.read(name)
    except FormError:
        return False
    return True


def _without_none(read: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in read.items() if each is not None}
