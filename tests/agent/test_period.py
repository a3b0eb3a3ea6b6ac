"""Which period a pack covers when nobody says."""

from __future__ import annotations

import datetime as dt

from agent.period import Span

START = dt.datetime(2026, 3, 1, 7, 0, tzinfo=dt.timezone.utc)
SWEPT = START + dt.timedelta(seconds=4)
MONTHS_LATER = START + dt.timedelta(days=90)


def span(*tables: dt.datetime) -> Span:
    return Span(START, MONTHS_LATER + dt.timedelta(days=1), tables)


def test_a_log_begins_when_the_first_round_of_the_service_is_over() -> None:
    assert span(START, SWEPT).begin == SWEPT
    assert span(START, SWEPT).complete_from(SWEPT, MONTHS_LATER) is None


def test_a_table_that_came_with_an_upgrade_does_not_cut_off_what_was_before() -> None:
    assert span(START, SWEPT, MONTHS_LATER).begin == SWEPT
    assert span(START, SWEPT, MONTHS_LATER).complete_from(SWEPT, MONTHS_LATER + dt.timedelta(hours=1)) == MONTHS_LATER


def test_a_log_in_which_every_table_failed_begins_with_its_first_snapshot() -> None:
    assert span().begin == START
