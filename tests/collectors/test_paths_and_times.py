"""Paths, times and headers as every row has them."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.contract import Row, Table, header_of, means, path_gap, shown, utc


@given(st.binary(min_size=1, max_size=60).filter(lambda raw: b"\0" not in raw))
def test_any_name_is_shown_as_text_and_kept_whole(raw: bytes) -> None:
    text, kept = shown(os.fsdecode(raw))
    text.encode("utf-8")
    assert (text.encode() if kept is None else base64.b64decode(kept)) == raw
    assert path_gap(os.fsdecode(raw), "absent").source_b64 == kept


def test_a_name_is_kept_whole_where_the_locale_is_not_utf_8() -> None:
    script = "import os; from collectors.contract import shown; print(ascii(shown(os.fsdecode(bytes([0xc3, 0xa9])))))"
    environment = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "('\\xe9', None)\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (0.9, "1970-01-01T00:00:00Z"),
        (-0.5, "1969-12-31T23:59:59Z"),
        (2**31, "2038-01-19T03:14:08Z"),
        (1e300, "9999-12-31T23:59:59Z"),
        (-1e300, "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_written_in_utc_and_clamped_to_what_can_be_written(seconds: float, text: str) -> None:
    assert utc(seconds) == text


class Odd(Row):
    """One row of a test."""

    name: str
    ratio: Annotated[float, means("a type no header has")] = 0.0


@pytest.mark.parametrize("expected", ["odd.name: expected means", "found FloatType"])
def test_a_field_without_meaning_or_of_another_type_is_an_error(expected: str) -> None:
    class Rest(Row):
        """One row of a test."""

        ratio: Annotated[float, means("a type no header has")] = 0.0

    row = Odd if "means" in expected else Rest
    with pytest.raises(TypeError, match=expected):
        header_of(Table("odd", row, key=("name",), reads=(), collect=lambda _host: ()))
