"""Frames of changed levels as exchanges write them, and as they never should, drawn at random."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from collector.events import Snapshot

Level = tuple[str, str]
TOPICS = {"bybit": "orderbook.50.BTCUSDT", "binance": "btcusdt@depth"}
MIDDLE = 64_000_00  # in hundredths
ODD_NUMBERS = (
    *("1e3", "1E3", "+1", "-1", "01", "1.", ".5", "", " 1", "1 ", "nan", "inf", "1e400", "0x1", "1_0", "1,5"),
    *("0", "-0", "0.0", "1000000000000000", "999999999999999.9", "1000000000000000000", "9" * 400),
    *("0.1234567890123456789012345", "9007199254740993", "123456789012345678.9", "0." + "0" * 30 + "1"),
)
ODD_WHOLES = ("-1", "1.0", "1e3", '"7"', "null", "01", f"{2**63 - 1}", f"{2**63}", "9" * 30)
ODD_PIECES = (*'\\"\x00\x7f\n {}[],:0é\ud800', "\\u0041")


@dataclass
class Changes:
    """One market's frames, one after the other."""

    exchange: str
    kind: str
    drawn: random.Random
    last: int = 1000
    at_ms: int = 1_700_000_000_000
    written: list[str] = field(default_factory=list)

    def levels(self, most: int = 6) -> list[list[Level]]:
        """Draw bids and asks near the middle: mostly a new size, sometimes none."""
        return [
            [
                (self.price(MIDDLE - sign * self.drawn.randint(1, 70)), self.size())
                for _ in range(self.drawn.randint(0, most))
            ]
            for sign in (1, -1)
        ]

    def price(self, ticks: int) -> str:
        text = f"{ticks / 100:.2f}"
        return self.drawn.choice((text, text, text + "000000", text.rstrip("0").rstrip(".") or "0"))

    def size(self) -> str:
        lots = self.drawn.randint(1, 10**9)
        return self.drawn.choice(
            ("0", "0.000", f"{lots}", f"{lots / 1e8:.8f}", f"{lots / 1e3:.3f}", f"{lots}.{lots:012}")
        )

    def write(
        self, number: int, first: int, before: int, bids: Sequence[Level], asks: Sequence[Level]
    ) -> str:
        """Write a frame in one of the orders in which its keys come."""
        self.at_ms += 1
        b, a = (json.dumps(side, separators=(",", ":")) for side in (bids, asks))
        if self.exchange == "bybit":
            data = f'{{"s":"BTCUSDT","b":{b},"a":{a},"u":{number},"seq":{number + 7}}}'
            head = [f'"topic":"{TOPICS["bybit"]}"', '"type":"delta"', f'"ts":{self.at_ms}']
            if self.drawn.random() < 0.5:
                head[1:] = head[:0:-1]
            cts = f',"cts":{self.at_ms - 2}' if self.drawn.random() < 0.8 else ""
            return f'{{{",".join(head)},"data":{data}{cts}}}'
        usdm = self.kind == "linear"
        matched = f'"T":{self.at_ms - 2},' if usdm else ""
        previous = f'"pu":{before},' if usdm else ""
        return (
            f'{{"e":"depthUpdate","E":{self.at_ms},{matched}"s":"BTCUSDT","U":{first},"u":{number},'
            f'{previous}"b":{b},"a":{a}}}'
        )

    def next(self, bids: Sequence[Level] | None = None, asks: Sequence[Level] | None = None) -> str:
        """Write the next message."""
        drawn = self.levels()
        before, first = self.last, self.last + 1
        self.last = first if self.exchange == "bybit" else first + self.drawn.randint(0, 3)
        sides = drawn[0] if bids is None else bids, drawn[1] if asks is None else asks
        return self.write(self.last, first, before, *sides)

    def snapshot(self) -> str:
        """Write a whole book, as Bybit pushes one."""
        bids = [(self.price(MIDDLE - place), "1.5") for place in range(1, 40)]
        asks = [(self.price(MIDDLE + place), "2.5") for place in range(1, 40)]
        self.last += 1
        return self.write(self.last, self.last, self.last - 1, bids, asks).replace("delta", "snapshot")

    def rest(self, levels: int = 1000) -> Snapshot:
        """Answer as Binance's REST does: where the stream stands, now and then with fewer asks."""
        apart, fewer = self.drawn.choice((1, 5)), self.drawn.choice((0, 0, 2))
        bids = [((MIDDLE - place * apart) / 100, 1.5) for place in range(1, levels + 1)]
        asks = [((MIDDLE + place * apart) / 100, 2.5) for place in range(1, levels + 1 - fewer)]
        return Snapshot(TOPICS["binance"], self.last, None, bids, asks)

    def odd(self) -> str:
        """Write a message in which one number is written as no exchange does, or as one seldom does."""
        levels = self.levels() if self.drawn.random() < 0.5 else [[("64000", "1")], []]
        side = self.drawn.choice(levels)
        price, size = self.price(MIDDLE + self.drawn.randint(-20, 20)), self.size()
        odd = self.drawn.choice(ODD_NUMBERS)
        side.append(self.drawn.choice(((odd, size), (price, odd))))
        return self.next(*levels)

    def odd_whole(self) -> str:
        """Write a message whose own number, or time, is no usual one."""
        text = self.next()
        found = self.drawn.choice((f'"u":{self.last}', f'"U":{self.last}', f":{self.at_ms}", f":{self.last}"))
        return text.replace(found, found.split(":")[0] + ":" + self.drawn.choice(ODD_WHOLES), 1)

    def damaged(self) -> str:
        """Write a message, and change its text somewhere."""
        text = self.next()
        for _ in range(self.drawn.randint(1, 3)):
            place, other = self.drawn.randrange(len(text)), self.drawn.randrange(len(text))
            low, high = sorted((place, other))
            text = self.drawn.choice(
                (
                    text[:place] + text[place + 1 :],
                    text[:place] + self.drawn.choice(ODD_PIECES) + text[place:],
                    text[:low] + text[high:],
                    text[:high] + text[low:],
                    text[:place],
                    text + self.drawn.choice(ODD_PIECES),
                )
            )
            text = text or "0"
        return text

    def steps(self) -> dict[str, Callable[[], str]]:
        """Name all that can happen."""

        def gap() -> str:
            self.last += 5
            return self.next()

        def restart() -> str:
            self.last = 0
            return self.next()

        def far(ticks: int) -> str:
            return f"{ticks / 100:.2f}"

        steps = {
            "next": self.next,
            "next but empty": lambda: self.next([], []),
            "again": lambda: self.written[-1] if self.written else self.next(),
            "gap": gap,
            "restart": restart,
            "crossed": lambda: self.next([(far(MIDDLE + 5000), "1")], []),
            "far off": lambda: self.next([], [(far(MIDDLE * 2), "1"), (far(MIDDLE // 3), "1")]),
            "many": lambda: self.next(*self.levels(60)),
            "twice the same level": lambda: self.next([("63999.5", "1"), ("63999.50", "0")], []),
            "one side gone": lambda: self.next(
                [(far(MIDDLE - place), "0") for place in range(-20, 1100)], []
            ),
            "odd number": self.odd,
            "odd whole number": self.odd_whole,
            "damaged": self.damaged,
        }
        if self.exchange == "bybit":
            steps["snapshot"] = self.snapshot
        return steps

    def take(self, step: str) -> str:
        """Let something happen; return its text."""
        text = self.steps()[step]()
        self.written.append(text)
        return text
