"""What the configuration leaves out: tables that are not read, and columns that are null."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agent.choosing import chosen
from agent.collection.dropping import without
from agent.configuration.loading import Loaded, configured
from agent.configuration.model import Configuration
from agent.configuration.rules import droppable
from agent.labels import parse_labels
from collectors.catalogue import all_tables
from collectors.contract import Table
from program.errors import CommandError


def disabled_in(configuration: Configuration, tables: Sequence[Table]) -> list[str]:
    """Return the tables of these that are switched off, by name."""
    off = {name for name, own in configuration.tables.items() if not own.enabled}
    return [each.name for each in tables if each.name in off]


def left_out(loaded: Loaded, tables: Sequence[Table]) -> list[Table]:
    """Return tables that leave out the columns that the configuration names.

    Where it has problems nobody can tell what was to be left out, so all that can be is: a row that lacks a column
    can be read again later, one that should never have been written cannot be taken back.
    """
    able = {f"{table.name}.{column}" for table in tables for column in droppable(table)}
    named = set(loaded.configuration.privacy.drop)
    concerned = {name for name in named if name.partition(".")[0] in {each.name for each in tables}}
    return without(tables, able if loaded.problems or not concerned <= able else concerned)


class ByHand(msgspec.Struct, frozen=True):
    """What somebody reads by hand: a switch of the configuration holds for him, too."""

    tables: list[Table]
    disabled: list[str]
    labels: dict[str, str]


def by_hand(config: str | None, names: Sequence[str], labels: Sequence[str] = ()) -> ByHand:
    """Return the tables that are named, or else all that are not disabled, and labels over those configured.

    Raises: CommandError, also for any problem of the configuration, which is told.
    """
    tables, given = chosen(names), parse_labels(labels)
    configuration = configured(config, all_tables())
    disabled = [] if names else disabled_in(configuration, tables)
    left = [each for each in tables if each.name not in disabled]
    if not left:
        raise CommandError("expected a table to read, found all of them disabled; see evidenced config show")
    kept = [f"{key}={value}" for key, value in configuration.labels.items() if key not in given]
    return ByHand(without(left, configuration.privacy.drop), disabled, parse_labels([*kept, *labels]))
