"""os-release against os-release(5), and against the shell that the page says may source it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.reading.errors import AbsentError
from collectors.reading.host import Host
from collectors.reading.os_release import parse_os_release, read_os_release


def test_bare_single_and_double_quoted_values_are_read() -> None:
    text = "ID=debian\nNAME=\"Debian GNU/Linux\"\nPRETTY_NAME='Debian 12'\nBUILD_ID=\n"
    assert parse_os_release(text)[0] == {
        "ID": "debian",
        "NAME": "Debian GNU/Linux",
        "PRETTY_NAME": "Debian 12",
        "BUILD_ID": "",
    }


def test_comments_blank_lines_and_lines_that_assign_nothing_are_passed_over() -> None:
    text = "# comment\n\nID=alpine\nthis is no assignment\n1ID=x\nA B=c\n"
    assert parse_os_release(text) == ({"ID": "alpine"}, [])


def test_the_later_of_two_assignments_counts() -> None:
    assert parse_os_release("ID=a\nexport ID=b\n") == ({"ID": "b"}, [])


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (r'"a\"b"', 'a"b'),
        (r'"\$HOME \`id\` \\"', "$HOME `id` \\"),
        (r'"keep \n as it is"', r"keep \n as it is"),
        (r"'\$'", r"\$"),
        (r"a\ b", "a b"),
        ('"#1"', "#1"),
    ],
)
def test_escapes_are_undone_as_a_shell_does(word: str, value: str) -> None:
    assert parse_os_release(f"X={word}") == ({"X": value}, [])


@pytest.mark.parametrize(
    "word",
    [
        '"open',
        "'open",
        '"',
        "'",
        '"a"b"',
        "'a'b'",
        '"a\\"',
        "a b",
        "$HOME",
        "`id`",
        '"$(id)"',
        "$'a'",
        "~",
        "a;b",
        "x\0",
    ],
)
def test_a_value_that_is_not_one_plain_word_assigns_nothing_and_its_line_is_told(word: str) -> None:
    assert parse_os_release(f"A=b\nX={word}") == ({"A": "b"}, [2])


def test_a_value_that_is_not_understood_takes_the_one_before_it_away() -> None:
    assert parse_os_release("ID=a\nX=b\nID=$(c)\n") == ({"X": "b"}, [3])
    assert parse_os_release("ID=$(c)\nID=a\n") == ({"ID": "a"}, [1])


@pytest.mark.parametrize("line", ["ID debian", "VERSION_ID =12", " export ID: x"])
def test_a_line_that_means_to_name_the_system_and_does_not_is_told(line: str) -> None:
    assert parse_os_release(f"{line}\nIDLE hands\n") == ({}, [1])


def test_an_id_that_is_not_understood_is_a_gap_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('NAME=x\nID="de\nbian"\n')
    variables, (gap,) = read_os_release(Host(str(tmp_path), secret=b"secret"))
    assert variables == {"NAME": "x"}
    assert (gap.source, gap.reason, gap.line) == ("/etc/os-release", "malformed", 2)


def test_lines_past_the_first_twenty_that_are_not_understood_are_counted(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text("X=a b\n" * 24 + "ID=de bian\n")
    _, gaps = read_os_release(Host(str(tmp_path), secret=b"secret"))
    assert [(gap.line, gap.count) for gap in gaps] == [*((line, 1) for line in range(1, 21)), (None, 5)]


def test_a_file_of_lines_that_all_go_on_is_read_in_one_pass() -> None:
    assert parse_os_release("A=$\\\n" * 20_000) == ({}, [1])
    assert len(parse_os_release("A=\\''\n" * 10_000)[1]) == 10_000


def test_carriage_returns_at_line_ends_are_not_part_of_a_value() -> None:
    assert parse_os_release('ID=debian\r\nNAME="x"\r\n') == ({"ID": "debian", "NAME": "x"}, [])


@given(st.text(max_size=400))
def test_any_text_gives_a_mapping_of_texts(text: str) -> None:
    for name, value in parse_os_release(text)[0].items():
        assert name.isascii()
        assert "\n" not in value
        assert "\0" not in value


printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)


@given(printable)
def test_a_quoted_value_comes_back_as_it_was(value: str) -> None:
    quoted = "".join("\\" + each if each in '$`"\\' else each for each in value)
    assert parse_os_release(f'X="{quoted}"') == ({"X": value}, [])


WORDS = [
    r'"a\"b"', r'"\$H \`i\` \\ \n"', r"'\$ \\'", r"a\ b", '"#1"', "", "v1.2-3+x~y", "'\"'", '"\'"', "debian # c",
    '"a" # c', "a#b", "#a", "'a'\"b\"c", "a\\\nb", '"a\\\nb"', "a # c \\\nX=b", '"5 US$"', "*", "a\\", "''", "a=b",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("word", WORDS)
def test_the_shell_reads_the_same_value_or_a_line_is_told(tmp_path: Path, word: str) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    file = tmp_path / "os-release"
    file.write_text(f"X={word}\n")
    told = subprocess.run(
        [shell, "-c", '. "$1"; printf %s "$X"', "sh", str(file)], check=True, capture_output=True, text=True, timeout=10
    ).stdout
    assert parse_os_release(file.read_text()) == ({"X": told}, [])


def test_usr_lib_is_read_only_where_etc_has_no_file(tmp_path: Path) -> None:
    for place, text in (("usr/lib", "ID=second\n"), ("etc", "ID=first\n")):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        (folder / "os-release").write_text(text)
        assert read_os_release(Host(str(tmp_path), secret=b"secret")).variables == {"ID": text[3:-1]}


def test_no_os_release_at_all_is_absent(tmp_path: Path) -> None:
    with pytest.raises(AbsentError):
        read_os_release(Host(str(tmp_path), secret=b"secret"))


def test_a_link_to_usr_lib_is_followed_inside_the_root(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr/lib/os-release").write_text("ID=inside\n")
    (tmp_path / "etc/os-release").symlink_to("../usr/lib/os-release")
    assert read_os_release(Host(str(tmp_path), secret=b"secret")).variables == {"ID": "inside"}
