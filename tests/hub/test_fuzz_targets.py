"""The fuzz target of this room for a short while."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import fuzz_hub_request


@settings(max_examples=80)
@given(st.binary(max_size=300))
def test_requests(data: bytes) -> None:
    fuzz_hub_request.target(data)
