"""Train a small model on collected data, and say honestly whether it is better than guessing.

    python run.py demo --seconds 180 --db demo.db
    python examples/train_model.py demo.db

Needs scikit-learn: pip install -e '.[research]'. It loads states of the book, cuts windows that cross no
hole, and labels them with what the price did next. A model is fitted again and again to all that is past, and
predicts the stretch that comes next, behind a gap as long as the label looks ahead.

What it predicts is held against two guesses that need no model. Neighbouring samples overlap, so that a
thousand of them may be a dozen observations: the test takes stretches of time that hardly overlap, and asks
how often noise would gain as much if each might as well have lost it. It says "beats both guesses" of at most
5 in 100 sets of noise, and judges nothing by fewer than twenty stretches. Ten minutes of states are enough
for a signal that is right in 60 of 100 cases. Whoever tries twenty models on one set finds one in noise.
"""

import argparse
import sys
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from collector import labels, load_features, windows
from collector.errors import MissingExtra, UserError
from collector.query import blocks, chance, interval

COLUMNS = ("order_book_imbalance", "ofi", "spread_bps", "mid_price", "microprice")
LENGTH = 10  # states a window
FIRST_SHARE = 0.4  # of the time, to begin with; the rest is predicted
FOLDS = 4  # how often the model is fitted anew
LEAST_STRETCHES = 20
LEVEL = 0.05  # how often noise may pass for a signal

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """Windows as rows, what came after each, what came before it, and the row where each ends."""

    inputs: Floats
    target: Integers
    before: Integers
    last: Integers


@dataclass(frozen=True)
class Predicted:
    """Of each unseen sample: whether model and guesses were right, and where it ends."""

    model: Floats
    most_frequent: Floats
    same_as_before: Floats
    last: Integers
    horizon: int

    @property
    def stretch(self) -> Integers:
        """Return the stretch of time of each; those of two hardly overlap."""
        return blocks(self.last, LENGTH + 2 * self.horizon)

    @property
    def stretches(self) -> int:
        """Return the number of independent samples, so to speak."""
        return len(np.unique(self.stretch))

    @property
    def chances(self) -> tuple[float, float]:
        """Return how often noise would be so much better than each of the guesses."""
        guesses = (self.most_frequent, self.same_as_before)
        most_frequent, same_as_before = (chance(self.model - one, self.stretch) for one in guesses)
        return most_frequent, same_as_before

    @property
    def verdict(self) -> str:
        """Say whether the model is better than guessing, or that nobody can tell."""
        if self.stretches < LEAST_STRETCHES:
            least = LEAST_STRETCHES * (LENGTH + 2 * self.horizon)
            return (
                f"too few independent samples to judge: {self.stretches} of {LEAST_STRETCHES}; "
                f"collect until {least:,} states can be predicted, or choose a shorter --every or --horizon"
            )
        if max(self.chances) <= LEVEL:
            return "the model beats both guesses"
        return "no better than guessing: not a model to trust"


def samples(frame: pd.DataFrame, horizon: int) -> Samples:
    """Cut and label a frame of `COLUMNS`."""
    mid = frame["mid_price"].to_numpy()
    known = frame.assign(
        microprice_lead=(frame["microprice"] - frame["mid_price"]) / mid * 1e4,
        move=frame.groupby("segment")["mid_price"].diff() / mid * 1e4,  # of a segment's first state: none
    )
    inputs = ["order_book_imbalance", "ofi", "spread_bps", "microprice_lead", "move"]
    cut = windows(known, LENGTH, columns=inputs)
    after = labels(frame, horizon)["direction"]
    has_label = after.notna().to_numpy()[cut.last]
    last = cut.last[has_label]
    before = np.sign(mid[last] - mid[last - LENGTH + 1]).astype(np.int64)
    target = after.to_numpy(dtype=np.int64, na_value=0)[last]
    return Samples(cut.samples[has_label].reshape(len(last), -1), target, before, last)


def predicted(frame: pd.DataFrame, horizon: int) -> Predicted:
    """Fit a model to what is past and predict what comes next, stretch after stretch."""
    try:
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    except ModuleNotFoundError:
        raise MissingExtra("scikit-learn", "research") from None

    of = samples(frame, horizon)
    borders = np.linspace(FIRST_SHARE, 1.0, FOLDS + 1) * len(frame)
    found, rights = [], []
    for begin, end in pairwise(borders):
        learn = of.last < begin - horizon  # no label of the training reaches into what is predicted
        test = (of.last - LENGTH + 1 >= begin) & (of.last < end)  # and no window of that into the training
        outcomes, counts = np.unique(of.target[learn], return_counts=True)
        if not test.any() or len(outcomes) < 2:  # noqa: PLR2004  (two outcomes to tell apart)
            continue
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000, C=0.1))
        model.fit(of.inputs[learn], of.target[learn])
        found.append(of.last[test])
        guesses = (model.predict(of.inputs[test]), outcomes[np.argmax(counts)], of.before[test])
        rights.append([np.asarray(of.target[test] == guess, dtype=np.float64) for guess in guesses])
    if not found:
        raise UserError("too little data: collect for some minutes, or choose a shorter --every")
    right, most_frequent, same_as_before = (np.concatenate(one) for one in zip(*rights, strict=True))
    return Predicted(right, most_frequent, same_as_before, np.concatenate(found), horizon)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("db", help="a path of an SQLite file, or an SQLAlchemy URL")
    parser.add_argument("--symbol", default="BTC/USDT:USDT")
    parser.add_argument("--exchange", help="where several have the symbol")
    parser.add_argument("--depth", type=int, help="of which book: best prices alone (1) have no imbalance")
    parser.add_argument("--start", help="from this instant on: 2026-01-31T12:00Z")
    parser.add_argument("--end", help="up to this instant")
    parser.add_argument("--data-source", help="simulator, live_trading ...")
    parser.add_argument("--min-quality", type=float, help="what scored less counts as not covered")
    parser.add_argument("--every", default="100ms", help="a state so often")
    parser.add_argument("--horizon", type=int, default=10, help="predict so many states ahead")
    options = parser.parse_args()
    wanted = vars(options)
    filters = {
        name: wanted[name] for name in ("exchange", "depth", "start", "end", "data_source", "min_quality")
    }
    try:
        frame = load_features(options.db, options.symbol, every=options.every, columns=COLUMNS, **filters)
        scores = predicted(frame, options.horizon)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    covered = int(frame["segment"].notna().sum())
    print(f"{len(frame):,} instants, {covered:,} verified, {frame['segment'].nunique()} segments")
    print(f"direction of the mid {options.horizon} x {options.every} ahead:")
    print(f"{len(scores.model):,} unseen samples, {scores.stretches} independent ones: most of them overlap")
    for name, chances in (("model", None), ("most frequent", 0), ("same as before", 1)):
        right: Floats = getattr(scores, name.replace(" ", "_"))
        low, high = interval(right, scores.stretch)
        rest = "" if chances is None else f"   better by chance: {scores.chances[chances]:.1%}"
        print(f"  {name:15}  {np.mean(right):.3f}   95%: {low:.3f} to {high:.3f}{rest}")
    print(scores.verdict)
    return 0


if __name__ == "__main__":
    sys.exit(main())
