"""What the signer says comes back as what it is, also over its socket; and answers are kept within bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.delivery.progress import Progress, look, pinned, records, set_pin
from agent.signing.protocol import Failed
from agent.signing.remote import _error
from evidence.accepting import ReceiptError, RestoredError
from evidence.errors import BusyError, EvidenceError, FormatError, StateError, UnsafeStateError


@pytest.mark.parametrize("kind", [ReceiptError, RestoredError, BusyError, FormatError, StateError])
def test_an_error_of_the_signer_keeps_its_kind(kind: type[EvidenceError]) -> None:
    found = _error(Failed(kind=kind.__name__, where="a", expected="b", found="c", step=""))
    assert type(found) is kind


@pytest.mark.parametrize("kind", ["", "Exception", "SystemExit", "Accepted", "annotations"])
def test_an_error_that_is_not_known_is_one_of_the_state(kind: str) -> None:
    assert type(_error(Failed(kind=kind, where="a", expected="b", found="c", step=""))) is StateError


def test_what_is_kept_aside_is_bounded_and_kept_once(tmp_path: Path) -> None:
    with records(str(tmp_path / "upload"), 0) as kept:
        names = {kept.reject("hub", f"{n % 300}".encode()) for n in range(600)}
    assert len(names - {None}) == 200
    assert len(list((tmp_path / "upload/rejected").iterdir())) == 200


def test_what_is_known_of_sinks_that_are_gone_is_dropped(tmp_path: Path) -> None:
    with records(str(tmp_path / "upload"), 0) as kept:
        for name in ("old", "new"):
            kept.save(name, Progress(failures=1))
        kept.forget_others({"new"})
        assert (kept.progress("old").failures, kept.progress("new").failures) == (0, 1)


def test_progress_can_be_looked_at_without_the_lock(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        look(str(tmp_path / "upload"), "hub")
    with records(str(tmp_path / "upload"), 0) as kept:
        kept.save("hub", Progress(failures=3))
        assert look(str(tmp_path / "upload"), "hub").failures == 3


def test_a_pin_stays_until_it_is_set_anew(tmp_path: Path) -> None:
    folder = str(tmp_path / "upload")
    assert pinned(folder, "hub") is None
    set_pin(folder, "hub", "key")
    assert (pinned(folder, "hub"), pinned(folder, "other")) == ("key", None)
    with records(folder, 0) as kept:
        assert kept.pin("hub") == "key"


def test_a_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "upload").mkdir(mode=0o755)
    with pytest.raises(UnsafeStateError), records(str(tmp_path / "upload"), 0):
        pass
