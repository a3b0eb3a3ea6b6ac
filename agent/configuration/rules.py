"""What single settings cannot say: rules between them, and between them and the catalogue of tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from agent.configuration.forms import found, span
from agent.configuration.model import Configuration, Directory, HttpPut, Hub
from agent.configuration.problems import Key, suggestion
from agent.labels import COUNT, TOTAL_LIMIT
from collectors.contract import Table, header_of


class Judgement(msgspec.Struct, frozen=True):
    """A rule that the whole breaks; a warning is no reason not to run."""

    key: Key
    expected: str
    found: str
    hint: str = ""
    warning: bool = False


def judge(configuration: Configuration) -> Iterator[Judgement]:
    """Yield what is wrong between settings."""
    labels = configuration.labels
    size = sum(len(each.encode()) for pair in labels.items() for each in pair)
    if len(labels) > COUNT:
        yield Judgement(("labels",), f"at most {COUNT} labels", str(len(labels)))
    if size > TOTAL_LIMIT:
        yield Judgement(("labels",), f"at most {TOTAL_LIMIT} bytes of labels", str(size))
    names = [each.name for each in configuration.sinks]
    for number, sink in enumerate(configuration.sinks):
        key: Key = ("sinks", number)
        if sink.name in names[:number]:
            yield Judgement((*key, "name"), "each name once in all files", f"{sink.name!r} again")
        if not isinstance(sink, Directory):
            yield from _judge_remote(sink, key)


def _judge_remote(sink: HttpPut | Hub, key: Key) -> Iterator[Judgement]:
    if sink.token_file and sink.token_credential:
        yield Judgement((*key, "token_credential"), "token_file or token_credential", "both")
    if sink.client_key and sink.client_key_credential:
        yield Judgement((*key, "client_key_credential"), "client_key or client_key_credential", "both")
    has_key = bool(sink.client_key or sink.client_key_credential)
    if has_key and not sink.client_certificate:
        yield Judgement(key, "client_certificate beside its key", "none")
    if sink.client_certificate and not has_key:
        yield Judgement(key, "client_key or client_key_credential beside client_certificate", "none")
    if isinstance(sink, HttpPut) and sum(map(bool, (sink.url, sink.url_file, sink.url_credential))) != 1:
        some = sink.url or sink.url_file or sink.url_credential
        yield Judgement(key, "one of url, url_file and url_credential", "several" if some else "none")
    if sink.url and sink.url.startswith("http://") and (sink.ca_file or sink.pin_sha256 or sink.client_certificate):
        yield Judgement((*key, "url"), "https:// with a certificate to check or to show", "http://")
    if isinstance(sink, HttpPut) and sink.user and not (sink.token_file or sink.token_credential):
        yield Judgement((*key, "user"), "token_file or token_credential with the password of this user", "none")
    if isinstance(sink, HttpPut) and sink.confirm == "status":
        hint = "a status is no proof that the file was kept"
        yield Judgement((*key, "confirm"), '"read-back"', '"status"', hint, warning=True)


def judge_tables(configuration: Configuration, tables: Sequence[Table]) -> Iterator[Judgement]:
    """Yield what is wrong with the names of tables and columns, and with the schedule as a whole."""
    known = {each.name: each for each in tables}
    for name in configuration.tables:
        if name not in known:
            hint = suggestion(name, known)
            yield Judgement(("tables", name), "the name of a table", "another", hint)
    for name in configuration.privacy.drop:
        yield from _judge_column(name, known)
    yield from _judge_schedule(configuration, tables)


def droppable(table: Table) -> frozenset[str]:
    """Return the columns about people that may be null, and by which no row is told from another."""
    return frozenset(
        each.name for each in header_of(table).fields if each.personal and each.nullable and each.name not in table.key
    )


def _judge_column(name: str, known: dict[str, Table]) -> Iterator[Judgement]:
    key: Key = ("privacy", "drop")
    table_name, _, column = name.partition(".")
    table = known.get(table_name)
    if table is None:
        yield Judgement(key, "TABLE.COLUMN of a table that exists", found(name), suggestion(table_name, known))
        return
    fields = {each.name: each for each in header_of(table).fields}
    if column not in fields:
        yield Judgement(key, f"a column of {table_name}", found(name), suggestion(column, fields))
    elif not fields[column].personal:
        yield Judgement(key, "a column about people", found(name), "docs/privacy.md lists them")
    elif column not in droppable(table):
        why = f"{found(name)}, without which a row says nothing"
        yield Judgement(
            key, "a column that may be null", why, f"leave the table out: [tables.{table_name}] enabled = false"
        )


def _judge_schedule(configuration: Configuration, tables: Sequence[Table]) -> Iterator[Judgement]:
    """Compare what may put a reading off with the promise that no table is older than twice its interval."""
    schedule = configuration.schedule
    text = span(0, 0).shown
    late = schedule.jitter + schedule.pause_limit
    for each in tables:
        own = configuration.tables.get(each.name)
        if own is not None and not own.enabled:
            continue
        interval = each.interval_s if own is None or own.interval is None else own.interval
        written = own is not None and own.interval is not None
        key: Key = ("tables", each.name, "interval") if written else ("schedule",)
        if interval <= schedule.jitter:
            expected = f"an interval of {each.name} longer than schedule.jitter, {text(schedule.jitter)}"
            yield Judgement(key, expected, text(interval))
        elif interval <= late:
            expected = f"jitter and pause_limit together below the interval of {each.name}, {text(interval)}"
            hint = "under pressure a period may come out incomplete"
            yield Judgement(key, expected, text(late), hint, warning=True)
