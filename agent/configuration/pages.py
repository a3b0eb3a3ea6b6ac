"""The pages about settings, made from the settings: docs/configuration.md, evidenced.toml(5), packaging/agent.toml."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from agent.configuration.schema import Group, Kinds, Leaf, Named, Node, schema
from agent.table_pages import cell

WIDTH = 110

HEAD = (
    "Configuration of evidenced. Every line is a comment: like this everything is read at its default interval, signed "
    "and kept on this host, and nothing leaves it. A setting is shown with its default; one that has none, with an "
    "example. Manual: evidenced.toml(5). Check: evidenced config check"
)


def markdown() -> str:
    """Return the settings as docs/configuration.md has them."""
    return "".join(f"\n{_table(title, group)}" for title, group in sections()) + "\n"


def sections() -> Iterator[tuple[str, Group]]:
    """Yield every table of the file with its title as TOML has it, the settings outside of tables first."""
    yield from _below("", schema())


def _below(title: str, group: Group) -> Iterator[tuple[str, Group]]:
    own: dict[str, Node] = {name: node for name, node in group.fields.items() if isinstance(node, Leaf)}
    if own:
        yield (f"[{title}]" if title else ""), Group(own, group.meaning)
    for name, node in group.fields.items():
        way = f"{title}.{name}" if title else name
        if isinstance(node, Group):
            yield from _below(way, node)
        elif isinstance(node, Named):
            yield from _named(way, node)
        elif isinstance(node, Kinds):
            for kind, each in node.kinds.items():
                yield f'[[{way}]] {node.tag} = "{kind}"', each


def _named(way: str, node: Named) -> Iterator[tuple[str, Group]]:
    if isinstance(node.each, Group):
        yield f"[{way}.NAME]", Group(node.each.fields, node.meaning)
    elif isinstance(node.each, Leaf):
        yield f"[{way}]", Group({"KEY": node.each}, node.meaning)


def _table(title: str, group: Group) -> str:
    rows = "".join(
        f"| `{name}` | {cell(leaf.form.expected)} | {_default(leaf)} | {cell(leaf.meaning)} |\n"
        for name, leaf in _leaves(group)
    )
    head = f"### {f'`{title}`' if title else 'Outside of tables'}\n\n{group.meaning}\n\n"
    return head + f"| setting | is | default | meaning |\n| --- | --- | --- | --- |\n{rows}"


def _default(leaf: Leaf) -> str:
    if leaf.required:
        return "required"
    return "absent" if leaf.default is None else f"`{leaf.form.shown(leaf.default)}`"


def _leaves(group: Group) -> Iterator[tuple[str, Leaf]]:
    for name, node in group.fields.items():
        if isinstance(node, Leaf):
            yield name, node


EXAMPLES = {
    "organisation": '"Example GmbH"',
    "KEY": '"TEXT"',
    "interval": '"1h"',
    "name": '"NAME"',
    "path": '"/media/stick/evidence"',
    "url": '"https://hub.example"',
    "url_file": '"/etc/evidenced/store-url"',
    "url_credential": '"store-url"',
    "ca_file": '"/etc/evidenced/hub-ca.pem"',
    "client_certificate": '"/etc/evidenced/host.pem"',
    "client_key": '"/etc/evidenced/host.key"',
    "client_key_credential": '"host-key"',
    "token_file": '"/etc/evidenced/token"',
    "token_credential": '"hub-token"',
    "proxy": '"http://proxy.example:3128"',
    "user": '"evidence"',
    "vkey": '"NAME+ID+KEY"',
}
"""What stands in the template for a setting without a default."""


def template() -> str:
    """Return the file that packages install: every setting as a comment, with its meaning and default."""
    parts = ["\n".join((*_commented(HEAD), ""))]
    for title, group in sections():
        head, _, tag = title.partition("] type = ")
        lines = list(_commented(group.meaning)) if title else []
        if title:
            lines.append(f"#{head}]" if tag else f"#{title}")
        if tag:
            lines.append(f"#type = {tag}")
        for name, leaf in _leaves(group):
            lines += _commented(f"{leaf.meaning} ({leaf.form.expected})")
            lines.append(f"#{name} = {_sample(name, leaf)}")
        parts.append("\n".join((*lines, "")))
    return "\n".join(parts)


def _sample(name: str, leaf: Leaf) -> str:
    return EXAMPLES[name] if leaf.default is None else leaf.form.shown(leaf.default)


def _commented(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
