"""Tell once what a loader decided for its caller."""

from functools import lru_cache
from typing import Any

from structlog import get_logger

log = get_logger()


@lru_cache(maxsize=1000)
def tell_once(event: str, **facts: Any) -> None:
    """Write a line of the log, unless the same was written before."""
    log.info(event, **facts)
