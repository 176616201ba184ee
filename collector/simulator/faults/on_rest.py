"""Faults of REST answers."""

from collector.simulator.exchanges.messages import Answer
from collector.simulator.faults.applied import AppliedFaults
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
    ) -> None:
        """Answer the next requests with this status (429, 418, 403, 500 ...)."""
        headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        answer = Answer(body or f'{{"code":-1003,"msg":"status {status}"}}', status, headers)
        self._arm_rest(RestFault("rest_status", exchange, path, count, instead=answer), str(status))

    def rest_html(self, exchange: str, count: int = 1, path: str = "", status: int = 502) -> None:
        """Answer the next requests with a page of HTML."""
        answer = Answer(HTML, status, content_type="text/html")
        self._arm_rest(RestFault("rest_html", exchange, path, count, instead=answer), str(status))

    def rest_truncated(self, exchange: str, count: int = 1, path: str = "") -> None:
        """Cut the next answers off in the middle of their JSON."""
        self._arm_rest(RestFault("rest_truncated", exchange, path, count, keeps_share=0.5))

    def rest_slow(self, exchange: str, delay_s: float, count: int = 1, path: str = "") -> None:
        """Delay the next answers."""
        self._arm_rest(RestFault("rest_slow", exchange, path, count, delay_s=delay_s), str(delay_s))

    def rest_allowance(self, exchange: str, capacity: int) -> None:
        """Allow only so much weight a window, so that the exchange's own limit is soon met."""
        self._do(
            "rest_allowance",
            exchange,
            lambda: self._world.allowances.capacities.update({exchange: capacity}),
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
