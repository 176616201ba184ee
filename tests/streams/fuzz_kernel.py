"""Give the kernel what exchanges send and what they never would, for so long, and see it agree with Python.

    python tests/streams/fuzz_kernel.py EXTENSION SECONDS [SEED]

Run by tests/streams/test_kernel_memory.py, with an extension that is built to find what C leaves undefined.
"""

import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import built_kernel
import recordings
from compiled_rig import MARKETS, Both
from written_changes import ODD_PIECES, Changes

from collector.book import Kernel
from collector.book.kernel import tried

RECORDED = (recordings.BYBIT_SPOT, recordings.BYBIT_DEEP, *recordings.BINANCE_SAMPLES)
SHAPES = ("bybit", "binance_spot", "binance_usdm")


def whole_session(kernel: Kernel, drawn: random.Random) -> int:
    """Let a market live for a while, its frames now and then damaged; both must come to the same."""
    exchange, kind = drawn.choice(sorted(MARKETS))
    both = Both(exchange, kind, kernel, levels=drawn.choice((1, 10, 25)))
    streams = both.add("book.50")
    changes = Changes(exchange, kind, drawn)
    steps = sorted(changes.steps())
    frames = 0
    for _ in range(drawn.randint(1, 5)):
        if exchange == "bybit":
            both.hear([changes.snapshot()])
        else:
            snapshot = changes.rest()
            both.each(lambda layer, stream, found=snapshot: layer.rest(stream, found), streams)
        while streams[0].verified and frames < 2000:
            usual = drawn.random() < 0.9
            both.hear([changes.take("next" if usual else drawn.choice(steps))])
            frames += 1
    both.same()
    return frames


def noise(kernel: Kernel, drawn: random.Random, texts: list[str]) -> int:
    """Read texts that were damaged, and pure noise: only whether it ends well is looked at."""
    frames = [kernel.new_frame(shape) for shape in SHAPES]
    book = kernel.new_book()
    for _ in range(500):
        text = drawn.choice(texts)
        for _ in range(drawn.randint(0, 4)):
            place, other = sorted((drawn.randrange(len(text) + 1), drawn.randrange(len(text) + 1)))
            piece = drawn.choice((*ODD_PIECES, chr(drawn.randrange(0x110000)), text[place:other]))
            text = text[:place] + piece + text[drawn.choice((place, other)) :]
        for frame in frames:
            try:
                found = frame.read(text)
            except UnicodeEncodeError:  # a lone surrogate
                continue
            if found is not None:
                most, levels = drawn.randint(1, 400), drawn.randint(1, 50)
                book.follow(found[5], found[2], 0.0, 0.2, most, levels, levels, 0.0, 1e300)
    return 500


def main(extension: str, seconds: float, seed: int) -> None:
    """Go on until the time is over."""
    kernel, drawn = tried(built_kernel.loaded(Path(extension))), random.Random(seed)
    texts = [Changes(exchange, kind, drawn).next() for exchange, kind in MARKETS for _ in range(50)]
    if recordings.ARE_HERE:
        texts += [line.partition(" ")[2] or line for path in RECORDED for line in recordings.lines(path)]
    until_s = time.monotonic() + seconds
    frames = 0
    while time.monotonic() < until_s:
        frames += whole_session(kernel, drawn) + noise(kernel, drawn, texts)
    print(f"seed {seed}: {frames} frames, no difference")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
