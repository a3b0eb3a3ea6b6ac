"""What the kernel says, in the words of a gap."""

from __future__ import annotations

import errno

import pytest

from collectors.reading.errors import AbsentError, ReadError, read_error


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOENT, "absent"),
        (errno.ENOTDIR, "absent"),
        (errno.ESRCH, "absent"),
        (errno.EACCES, "permission_denied"),
        (errno.EPERM, "permission_denied"),
        (errno.ELOOP, "link_refused"),
        (errno.EXDEV, "link_refused"),
        (errno.EISDIR, "not_regular"),
        (errno.ENXIO, "not_regular"),
        (errno.ETIMEDOUT, "timed_out"),
        (errno.EIO, "io_error"),
        (errno.ESTALE, "io_error"),
        (errno.EMFILE, "io_error"),
        (errno.ENAMETOOLONG, "io_error"),
        (0, "io_error"),
    ],
)
def test_each_error_of_the_kernel_has_one_reason(number: int, reason: str) -> None:
    error = read_error("/path", OSError(number, "text of the system"))
    assert error.reason == reason
    assert isinstance(error, AbsentError) == (reason == "absent")


def test_an_error_becomes_a_gap_that_keeps_a_path_which_is_not_utf_8() -> None:
    gap = ReadError("/a\udcff", "io_error", "input/output error").gap(line=3)
    assert (gap.source, gap.source_b64, gap.reason, gap.line) == ("/a\\xff", "L2H/", "io_error", 3)


def test_its_text_says_where_and_why() -> None:
    assert str(ReadError("/a", "io_error", "input/output error")) == "/a: io_error: input/output error"
    assert str(AbsentError("/a")) == "/a: absent"
