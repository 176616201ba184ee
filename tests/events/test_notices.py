"""What an exchange says of itself."""

import pytest

from collector.events.notices import State


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("online", State.ONLINE),
        ("post_only", State.POST_ONLY),
        ("on fire", State.OTHER),
        ("", State.OTHER),
        ("ONLINE", State.OTHER),
    ],
)
def test_a_word_that_is_not_known_is_another_state(word: str, state: State) -> None:
    assert State.said(word) is state
