"""Write the pages that are made from the program itself; with --check, say which of them are not up to date.

docs/tables.md, the list of columns in docs/privacy.md, the inventory in README.md (times are those of the writer), and
what the settings say of themselves: docs/configuration.md, evidenced.toml(5) and the file that packages install, and
the completions of shells.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from agent.configuration import pages as configuration
from agent.configuration.manual import manual
from agent.configuration.rules import droppable
from agent.main import main
from agent.table_pages import cell, markdown
from collectors.catalogue import all_tables
from collectors.contract import header_of
from docs import completions

TOP = Path(__file__).resolve().parent.parent
RECORDED = "fixtures/hosts/debian-12"
TIME = re.compile(r" *\d+\.\d\d s")


def between(text: str, mark: str, content: str) -> str:
    """Return a page with what stands between two marks replaced."""
    pattern = re.compile(rf"(<!-- {mark}[^\n]*-->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    new, count = pattern.subn(lambda found: found[1] + content + found[2], text)
    if count != 1:
        raise ValueError(f"expected one pair of marks {mark}, found {count}")
    return new


def personal_columns() -> str:
    """Return the columns about people, as a list by table."""
    lines = []
    for table in all_tables():
        fields = [each for each in header_of(table).fields if each.personal]
        switches = droppable(table)
        lines += [
            f"| `{table.name}` | `{each.name}` | {'yes' if each.name in switches else ''} | {cell(each.meaning)} |"
            for each in fields
        ]
    return "\n".join(("| table | column | can be dropped | meaning |", "| --- | --- | --- | --- |", *lines, ""))


def inventory() -> str:
    """Return what an inventory of the recorded host looks like."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), tempfile.NamedTemporaryFile() as settings:  # none of this machine
        code = main(["inventory", "--root", RECORDED, "--config", settings.name, "--state", f"{settings.name}-none"])
    if code:
        raise RuntimeError(f"inventory of {RECORDED}: expected exit code 0, found {code}")
    return f"```text\n$ evidenced inventory --root {RECORDED}\n{out.getvalue()}```\n"


def pages() -> Iterator[tuple[Path, str]]:
    """Yield (path, what it should be)."""
    yield TOP / "docs/tables.md", markdown(all_tables())
    settings = TOP / "docs/configuration.md"
    yield settings, between(settings.read_text("utf-8"), "settings", configuration.markdown())
    yield TOP / "docs/man/evidenced.toml.5", manual()
    yield TOP / "packaging/agent.toml", configuration.template()
    privacy = TOP / "docs/privacy.md"
    yield privacy, between(privacy.read_text("utf-8"), "columns", personal_columns())
    for name, text in completions.files():
        yield TOP / "packaging/completions" / name, text
    readme = TOP / "README.md"
    yield readme, between(readme.read_text("utf-8"), "inventory", inventory())


def stale() -> dict[Path, str]:
    """Return the pages that are not what they should be, times apart, with what they should be."""
    return {
        path: text
        for path, text in pages()
        if not path.exists() or TIME.sub(" # s", path.read_text("utf-8")) != TIME.sub(" # s", text)
    }


if __name__ == "__main__":
    found = stale()
    if sys.argv[1:] == ["--check"]:
        sys.stderr.writelines(f"{path.relative_to(TOP)}: not up to date; run: make docs\n" for path in found)
        sys.exit(1 if found else 0)
    for path, text in found.items():
        path.write_text(text, "utf-8")
