"""`evidenced tables`: what is collected, from where, and what each column means."""

from __future__ import annotations

import argparse

import msgspec

from agent.choosing import chosen
from agent.table_pages import listing, markdown, page
from collectors.contract import header_of
from program.errors import OK


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("name", nargs="*", metavar="NAME", help="show these tables whole")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the headers as NDJSON")
    form.add_argument("--markdown", action="store_true", help="print docs/tables.md")


def run(options: argparse.Namespace) -> int:
    """Print the catalogue."""
    tables = chosen(options.name, option="NAME")
    if options.json:
        for each in tables:
            print(msgspec.json.encode(header_of(each), order="sorted").decode())
    elif options.markdown:
        print(markdown(tables), end="")
    elif options.name:
        print("\n\n".join(page(each) for each in tables))
    else:
        print(listing(tables))
    return OK
