"""The shape of the configuration as its readers and its pages walk it, taken from the types in `model`."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from msgspec import inspect

from agent.configuration.forms import Form
from agent.configuration.model import Configuration


class Leaf(msgspec.Struct, frozen=True):
    """One setting."""

    form: Form
    meaning: str
    default: Any
    required: bool = False


class Group(msgspec.Struct, frozen=True):
    """A table with known names."""

    fields: dict[str, Node]
    meaning: str


class Named(msgspec.Struct, frozen=True):
    """A table whose names people choose, all of one shape."""

    name: Form
    each: Node
    meaning: str


class Kinds(msgspec.Struct, frozen=True):
    """An array of tables; the setting `type` says which shape one has."""

    kinds: dict[str, Group]
    tag: str


Node = Leaf | Group | Named | Kinds


@functools.cache
def schema() -> Group:
    """Return the shape of the whole."""
    return _group(inspect.type_info(Configuration))


def _group(info: inspect.Type) -> Group:
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"expected a Section, found {type(info).__name__}")
    fields = {each.name: _node(each.type, each.default, required=each.required) for each in info.fields}
    return Group(fields, " ".join((info.cls.__doc__ or "").split()))


def _node(info: inspect.Type, default: Any, *, required: bool) -> Node:
    meta = info if isinstance(info, inspect.Metadata) else None
    plain = info.type if isinstance(info, inspect.Metadata) else info
    if isinstance(plain, inspect.StructType):
        return _group(plain)
    if isinstance(plain, inspect.DictType):
        return Named(_leaf(plain.key_type).form, _node(plain.value_type, None, required=False), _meaning(meta))
    if isinstance(plain, inspect.VarTupleType) and isinstance(plain.item_type, inspect.UnionType):
        return _kinds(plain.item_type)
    return _leaf(info, None if default is msgspec.NODEFAULT else default, required=required)


def _kinds(info: inspect.UnionType) -> Kinds:
    structs = [each for each in info.types if isinstance(each, inspect.StructType)]
    return Kinds({str(each.tag): _group(each) for each in structs}, str(structs[0].tag_field))


def _leaf(info: inspect.Type, default: Any = None, *, required: bool = False) -> Leaf:
    if not isinstance(info, inspect.Metadata) or "form" not in (info.extra or {}):
        raise TypeError(f"expected setting(...) in the annotation, found {type(info).__name__}")
    return Leaf((info.extra or {})["form"], _meaning(info), default, required)


def _meaning(info: inspect.Metadata | None) -> str:
    schema: dict[str, Any] = {} if info is None else info.extra_json_schema or {}
    return str(schema.get("description", ""))
