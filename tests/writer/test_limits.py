"""Settings of the writer and of its database fit each other, whatever is chosen of what each takes."""

from typing import get_args, get_type_hints

from annotated_types import Ge, Le

from collector.sinks.options import SinkOptions, UpkeepOptions
from collector.writer.limits import BreakerLimits, SpoolLimits, WriterLimits

DAY_S = 86_400.0


def longest_s(of: type, name: str) -> float:
    (most,) = [
        one.le for one in get_args(get_type_hints(of, include_extras=True)[name]) if isinstance(one, Le)
    ]
    return float(str(most))


def test_no_batch_is_forgotten_while_it_may_still_come_again() -> None:
    hint = get_type_hints(UpkeepOptions, include_extras=True)["batches_days"]
    (least,) = [one.ge for one in get_args(hint) if isinstance(one, Ge)]
    # Housekeeping rests as soon as the spool takes over: so long may a batch wait without it, at the most.
    waits_s = (
        longest_s(SinkOptions, "call_timeout_s"),
        longest_s(SpoolLimits, "after_s"),
        longest_s(WriterLimits, "retry_max_s"),
        longest_s(BreakerLimits, "wait_max_s"),
    )
    assert float(str(least)) * DAY_S > sum(waits_s)
