"""Faults of REST answers."""

from collector.simulator.exchanges.messages import Answer
from collector.simulator.faults.applied import AppliedFaults, set_or_forget
from collector.simulator.faults.odd_answers import empty_book, nothing, without_key
from collector.simulator.faults.tampers import HTML, RestFault


class RestFaults(AppliedFaults):
    """What can be made to go wrong with REST answers."""

    def rest_status(
        self,
        exchange: str,
        status: int,
        count: int = 1,
        path: str = "",
        body: str = "",
        retry_after_s: int | None = None,
        after: int = 0,
    ) -> None:
        """Answer the next requests, after so many that go well, with this status (429, 418, 403, 500 ...)."""
        headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        answer = Answer(body or f'{{"code":-1003,"msg":"status {status}"}}', status, headers)
        self._arm_rest(
            RestFault("rest_status", exchange, path, count, after=after, instead=answer), str(status)
        )

    def rest_html(self, exchange: str, count: int = 1, path: str = "", status: int = 502) -> None:
        """Answer the next requests with a page of HTML."""
        answer = Answer(HTML, status, content_type="text/html")
        self._arm_rest(RestFault("rest_html", exchange, path, count, instead=answer), str(status))

    def rest_truncated(self, exchange: str, count: int = 1, path: str = "") -> None:
        """Cut the next answers off in the middle of their JSON."""
        self._arm_rest(RestFault("rest_truncated", exchange, path, count, keeps_share=0.5))

    def rest_empty_book(self, exchange: str, count: int = 1, path: str = "") -> None:
        """Answer the next requests for a book with one without levels."""
        self._arm_rest(RestFault("rest_empty_book", exchange, path, count, edit=empty_book))

    def rest_nothing(self, exchange: str, count: int = 1, path: str = "") -> None:
        """Answer the next requests well and with nothing: `{"error":null,"result":{}}` on Kraken."""
        self._arm_rest(RestFault("rest_nothing", exchange, path, count, edit=nothing))

    def rest_missing_key(self, exchange: str, key: str, count: int = 1, path: str = "") -> None:
        """Leave out a key of the next answers where it comes first: one pair without its `altname`."""
        self._arm_rest(RestFault("rest_missing_key", exchange, path, count, edit=without_key(key)), key)

    def rest_queue(self, exchange: str, service_ms: float) -> None:
        """Let the exchange make one answer after the other, each in this time; 0 makes all at once."""
        conditions = self._world.conditions[self._world.exchange(exchange).name]
        self._do(
            "rest_queue",
            exchange,
            lambda: setattr(conditions, "service_ms", service_ms),
            detail=str(service_ms),
        )

    def rest_ban(self, exchange: str, seconds: float, bucket: str = "") -> None:
        """Ban this address for so long, from all or one of an exchange's limits (Binance: spot, linear)."""
        self._world.exchange(exchange)
        until_ms = self._world.clock_ns(exchange) // 1_000_000 + int(seconds * 1000)
        bans = self._world.allowances.bans_until_ms
        self._do(
            "rest_ban",
            exchange,
            lambda: bans.update({(exchange, bucket): until_ms}),
            detail=f"{bucket or 'all'} for {seconds} s",
        )

    def rest_slow(self, exchange: str, delay_s: float, count: int = 1, path: str = "") -> None:
        """Delay the next answers."""
        self._arm_rest(RestFault("rest_slow", exchange, path, count, delay_s=delay_s), str(delay_s))

    def rest_allowance(self, exchange: str, capacity: int | None) -> None:
        """Allow only so much weight a window, so that the exchange's limit is soon met; None: as usual."""
        self._do(
            "rest_allowance",
            exchange,
            lambda: set_or_forget(self._world.allowances.capacities, exchange, capacity),
            detail=str(capacity),
        )

    def stale_snapshot(self, exchange: str, symbol: str, steps: int = 100) -> None:
        """Answer requests for the book with an old one, until called with 0."""
        self._set_feed(
            "stale_snapshot", exchange, symbol, lambda feed: setattr(feed, "stale_steps", steps), str(steps)
        )

    def snapshot_edge(self, exchange: str, symbol: str, levels: int | None = 20) -> None:
        """Return only the best levels over REST, whatever was asked, until called with None.

        Followed by `sweep`, a level beyond the edge becomes the best without ever having been sent.
        """
        self._set_feed(
            "snapshot_edge", exchange, symbol, lambda feed: setattr(feed, "edge_levels", levels), str(levels)
        )
