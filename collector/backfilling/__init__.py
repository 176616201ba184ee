"""Bring in the past over REST: what to ask for, page by page, into the same buffer as what comes live."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.backfilling.fetch import Asked, Fetcher, LeftAlone
    from collector.backfilling.filling import Filling
    from collector.backfilling.pages import Lack, Portion, Stretch
    from collector.backfilling.plan import Estimate, Plan, Span, Wanted, estimate, make_plan
    from collector.backfilling.run import Progress, fill
    from collector.backfilling.storing import Storing, Writes
else:
    __getattr__, __dir__ = face(__name__, __file__)
