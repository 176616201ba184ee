"""Faults of REST: what is answered instead, or later."""

from dataclasses import dataclass

from collector.simulator.exchange import Answer

HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(slots=True)
class RestFault:
    """One armed fault: for the next `count` requests whose path contains `path`."""

    name: str
    exchange: str | None
    path: str
    count: int
    delay_s: float = 0.0
    instead: Answer | None = None
    keeps_share: float = 1.0

    def matches(self, exchange: str, path: str) -> bool:
        """Tell whether it applies to a request."""
        return self.count > 0 and self.exchange in {None, exchange} and self.path in path

    def change(self, answer: Answer) -> Answer:
        """Give what is answered instead."""
        if self.instead is not None:
            return self.instead
        return answer._replace(body=answer.body[: int(len(answer.body) * self.keeps_share)])
