"""Every test of a book is run with both kinds of book."""

import pytest


@pytest.fixture(autouse=True)
def _both_kinds(either_book: None) -> None:
    """Run it twice."""
