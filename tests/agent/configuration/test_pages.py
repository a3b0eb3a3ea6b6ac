"""What is written about settings is what the program takes."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from agent.configuration import files, pages, syntax
from agent.configuration.loading import load
from agent.configuration.manual import manual
from agent.configuration.model import Configuration
from agent.configuration.schema import Group, Leaf, Named, schema
from tests.agent.configuration.conftest import Writing

DOCS = Path(__file__).parents[3] / "docs"


def test_the_template_is_only_comments_and_changes_nothing(written: Writing) -> None:
    assert all(line.startswith("#") or not line for line in pages.template().split("\n"))
    loaded = load(os.fspath(written(pages.template())))
    assert (loaded.problems, loaded.configuration) == ([], Configuration())


def uncommented(kind: str) -> str:
    """Return the template with its settings in force, and of the sinks those of one kind."""
    parts = pages.template().split("\n\n")
    wanted = [part for part in parts if "[[sinks]]" not in part or f'type = "{kind}"' in part]
    return re.sub(r"^#(?! )", "", "\n\n".join(wanted), flags=re.MULTILINE)


@pytest.mark.parametrize("kind", ["directory", "http-put", "hub"])
def test_every_line_of_the_template_is_taken_and_says_the_default(written: Writing, kind: str) -> None:
    text = uncommented(kind)
    for choice in ("client_key_credential", "token_credential", "url_file", "url_credential"):  # in place of another
        text = re.sub(rf"^{choice} = .*\n", "", text, flags=re.MULTILINE)
    text = text.replace("[tables.NAME]", "[tables.users]").replace("\nKEY =", "\nenvironment =")
    text = text.replace('"NAME"', '"sink"').replace('vkey = "NAME+ID+KEY"\n', "")
    loaded = load(os.fspath(written(text)))
    assert [str(each) for each in loaded.problems] == []
    settings = loaded.configuration
    default = Configuration()
    for section in ("schedule", "watches", "limits", "privacy", "retention", "outbox", "upload"):
        assert getattr(settings, section) == getattr(default, section)
    assert (len(settings.sinks), list(settings.tables)) == (1, ["users"])


def leaves(group: Group) -> list[str]:
    names = []
    for name, node in group.fields.items():
        if isinstance(node, Leaf):
            names.append(name)
        elif isinstance(node, Group):
            names += leaves(node)
        elif isinstance(node, Named) and isinstance(node.each, Group):
            names += leaves(node.each)
    return names


def test_every_setting_stands_in_every_page() -> None:
    for page in (pages.markdown(), manual(), pages.template()):
        assert [name for name in leaves(schema()) if name not in page] == []


def test_the_limits_that_the_page_names_are_those_of_the_program() -> None:
    page = (DOCS / "configuration.md").read_text("utf-8")
    limits = (syntax.BYTES_LIMIT >> 10, files.FILES_LIMIT, syntax.LINE_LIMIT, syntax.DOTS_LIMIT, syntax.DEPTH_LIMIT)
    (refused,) = re.findall(r"Refused before parsing: (.*?three quotes)", page, re.DOTALL)
    assert tuple(map(int, re.findall(r"[0-9]+", refused))) == limits


@pytest.mark.needs_program("groff")
def test_the_manual_renders_without_a_warning(tmp_path: Path) -> None:
    page = tmp_path / "evidenced.toml.5"
    page.write_text(manual(), "utf-8")
    done = subprocess.run(["groff", "-mdoc", "-Tutf8", "-ww", "-z", page], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
