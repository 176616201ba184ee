"""Train a small model on collected data, and say honestly whether it is better than guessing.

    python run.py demo --seconds 120 --db demo.db
    python examples/train_model.py demo.db

Needs scikit-learn: pip install -e '.[research]'. It loads states of the book, cuts windows that cross no
hole, labels them with what the price did next, splits by time with a gap as long as the label looks ahead,
and holds the model against what needs no model. On a minute of simulated data expect no miracle.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from collector import labels, load_features, windows
from collector.errors import MissingExtra, UserError

COLUMNS = ("order_book_imbalance", "ofi", "spread_bps", "mid_price", "microprice")
LENGTH = 10  # states a window


@dataclass(frozen=True)
class Scores:
    """How often the direction was right, beside two guesses that need no model."""

    samples: int
    model: float
    most_frequent: float
    same_as_before: float
    balanced_model: float  # the mean over the classes: a guess has 1 / classes

    @property
    def is_better(self) -> bool:
        """Say whether the model beats both."""
        return self.model > max(self.most_frequent, self.same_as_before)


def samples(
    frame: pd.DataFrame, horizon: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the windows as rows, what came after each, what came before it, and where each ends."""
    mid = frame["mid_price"].to_numpy()
    known = frame.assign(
        microprice_lead=(frame["microprice"] - frame["mid_price"]) / mid * 1e4,
        move=frame.groupby("segment")["mid_price"].diff() / mid * 1e4,  # of a segment's first state: none
    )
    cut = windows(
        known, LENGTH, columns=["order_book_imbalance", "ofi", "spread_bps", "microprice_lead", "move"]
    )
    after = labels(frame, horizon)["direction"]
    has_label = after.notna().to_numpy()[cut.last]
    last = cut.last[has_label]
    before = np.sign(mid[last] - mid[last - LENGTH + 1]).astype(np.int64)
    target = after.to_numpy(dtype=np.int64, na_value=0)[last]
    return cut.samples[has_label].reshape(len(last), -1), target, before, last


def train(frame: pd.DataFrame, horizon: int, share_of_training: float = 0.7) -> Scores:
    """Fit on the earlier part, score on the later one."""
    try:
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    except ModuleNotFoundError:
        raise MissingExtra("scikit-learn", "research") from None

    inputs, target, before, last = samples(frame, horizon)
    border = int(len(frame) * share_of_training)
    learn = last < border - horizon  # no label of the training reaches into the test
    test = last - LENGTH + 1 >= border  # and no window of the test into the training
    if not test.any() or len(set(target[learn].tolist())) < 2:  # noqa: PLR2004  (two outcomes to tell apart)
        raise UserError("too little data: collect for some minutes, or choose a shorter --every")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000, C=0.1))
    model.fit(inputs[learn], target[learn])
    found = model.predict(inputs[test])
    outcomes, counts = np.unique(target[learn], return_counts=True)
    return Scores(
        samples=int(test.sum()),
        model=float(np.mean(found == target[test])),
        most_frequent=float(np.mean(target[test] == outcomes[np.argmax(counts)])),
        same_as_before=float(np.mean(target[test] == before[test])),
        balanced_model=float(
            np.mean([np.mean(found[target[test] == one] == one) for one in set(target[test])])
        ),
    )


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("db", help="a path of an SQLite file, or an SQLAlchemy URL")
    parser.add_argument("--symbol", default="BTC/USDT:USDT")
    parser.add_argument("--every", default="100ms", help="a state so often")
    parser.add_argument("--horizon", type=int, default=10, help="predict so many states ahead")
    options = parser.parse_args()
    try:
        frame = load_features(options.db, options.symbol, every=options.every, columns=COLUMNS)
        scores = train(frame, options.horizon)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    covered = int(frame["segment"].notna().sum())
    print(f"{len(frame):,} instants, {covered:,} verified, {frame['segment'].nunique()} segments")
    print(
        f"direction of the mid {options.horizon} x {options.every} ahead, {scores.samples:,} unseen samples:"
    )
    print(f"  model            {scores.model:.3f}   (mean over classes {scores.balanced_model:.3f})")
    print(f"  most frequent    {scores.most_frequent:.3f}")
    print(f"  same as before   {scores.same_as_before:.3f}")
    print(
        "the model beats both guesses"
        if scores.is_better
        else "no better than guessing: not a model to trust"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
