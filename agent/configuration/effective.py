"""Each setting that is in effect, with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from agent.configuration.loading import Loaded
from agent.configuration.problems import Key, Place
from agent.configuration.schema import Group, Kinds, Leaf, Node, schema


class Effective(msgspec.Struct, frozen=True):
    """One setting: its value, the value as TOML has it, and its place; None for a default."""

    key: Key
    value: Any
    text: str
    place: Place | None


def effective(loaded: Loaded) -> Iterator[Effective]:
    """Yield all settings in the order of the manual; what is absent and has no default is left out."""
    values = msgspec.to_builtins(loaded.configuration)
    for key, leaf, value in _walk(schema(), values, ()):
        yield Effective(key, value, leaf.form.shown(value) if leaf else f'"{value}"', loaded.origins.get(key))


def _walk(node: Node, value: Any, key: Key) -> Iterator[tuple[Key, Leaf | None, Any]]:
    if isinstance(node, Leaf):
        if value is not None:
            yield key, node, value
    elif isinstance(node, Kinds):
        for number, entry in enumerate(value):
            tag = entry[node.tag]
            yield (*key, number, node.tag), None, tag
            yield from _walk(node.kinds[tag], entry, (*key, number))
    else:
        fields = node.fields if isinstance(node, Group) else dict.fromkeys(value, node.each)
        for name, each in fields.items():
            yield from _walk(each, value[name], (*key, name))
