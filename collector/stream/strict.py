"""Have ccxt's REST side say when an answer cannot be read: by itself it takes one cut off for no markets."""

from typing import Any

import ccxt

OK, NOT_OK = 200, 300


def strict(base: Any, exchange_id: str) -> Any:
    """Return ccxt's class of an exchange, raising BadResponse for an answer that is no JSON."""

    class Strict(base):  # type: ignore[misc]  # the base is known at run time only
        def handle_errors(self, code: int, reason: Any, url: Any, method: Any, *more: Any) -> Any:
            found = super().handle_errors(code, reason, url, method, *more)
            _headers, _body, response, *_ = more
            if response is None and OK <= code < NOT_OK:
                raise ccxt.BadResponse(f"{exchange_id} {method} {url} answered what is no JSON")
            return found

    # ccxt chooses some texts by the class's name.
    Strict.__name__ = Strict.__qualname__ = exchange_id
    return Strict
