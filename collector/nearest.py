"""Find the name that somebody may have meant."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches

_LONGEST_NAME = 60  # a longer one is none of ours, and takes long to compare


def did_you_mean(given: str, names: Iterable[str], word: Callable[[str], str] = str) -> str:
    """Return `; did you mean X?` for the nearest of some names, or nothing; `word` says how it is called."""
    by_lower = {name.casefold(): name for name in names}
    close = get_close_matches(given.casefold()[:_LONGEST_NAME], by_lower, n=1, cutoff=0.6)
    return f"; did you mean {word(by_lower[close[0]])}?" if close else ""
