"""Run one collector: build its parts, start and stop them, watch over them."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.app.alarm import DOUBTS
    from collector.app.collector import Collector
    from collector.app.commit_measures import CommitMeasures
    from collector.app.heartbeat import heartbeat_url
    from collector.app.jobs import Jobs, JobState
    from collector.app.logs import log_failed_subscriber
    from collector.app.monitor import Checked, Monitor, health_now, rates_between
    from collector.app.report import Report
    from collector.app.reporting import Moment, Phase, Reporter
    from collector.app.spool_places import address, age_s, places_of, waiting
    from collector.app.view import (
        DOWN,
        LEFT,
        MISSING,
        SYNCING,
        VERIFIED,
        ReporterState,
        StreamView,
        View,
        WriterView,
    )
    from collector.app.wakeup import SignalSafeEvent
    from collector.app.wiring import make_collector, make_listener
    from collector.app.wiring_backfill import Asked, Backfill, backfill
    from collector.app.wiring_consume import consuming
    from collector.app.wiring_jobs import configured_jobs, jobs_of_database
else:
    __getattr__, __dir__ = face(__name__, __file__)
