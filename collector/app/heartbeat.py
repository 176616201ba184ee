"""Put signs of life of a collector into a stream of Kinesis: records with what /health knows."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from collector.app.monitor import health_now
from collector.app.reporting import Moment
from collector.app.view import VERIFIED
from collector.aws import (
    KINESIS,
    AwsError,
    Failure,
    StreamAddress,
    failure_of,
    kind_of_code,
    without_credentials,
)
from collector.clock import NS_A_SECOND
from collector.sinks import SessionState, scheme_of

if TYPE_CHECKING:
    from collector.sinks import Heartbeat

CALL_TIMEOUT_S = 5.0
NS_A_MS = 1_000_000


class Heartbeats:
    """Puts one record at each report."""

    def __init__(
        self,
        stream: str,
        session: SessionState,
        every_s: float,
        connect: Callable[[], Any],  # returns a client of Kinesis
        masked: Callable[[str], str],
    ) -> None:
        self._stream = stream
        self._session = session
        self._every_s = every_s
        self._connect = connect
        self._masked = masked
        self._client: Any = None
        self._number = 0

    def __call__(self, moment: Moment) -> None:
        """Put the heartbeat of a moment, or raise what prevents it."""
        from collector.sinks import encoded_heartbeat  # noqa: PLC0415  (needs the extra)

        self._number += 1
        heartbeat = heartbeat_of(
            moment, self._session, self._number, time.time_ns() // NS_A_MS, self._every_s, self._masked
        )
        data = encoded_heartbeat(heartbeat)
        if self._client is None:  # made in the thread that reports, for it takes long
            self._client = self._connect()
        try:
            self._put({"PartitionKey": heartbeat.host, "Data": data})
        except Exception as error:
            failure = failure_of(error)
            if failure.kind is Failure.CREDENTIALS:
                self.close()  # another client looks for them anew
            raise failure from error

    def _put(self, record: dict[str, Any]) -> None:
        """Put one record, by the call that needs the same right as those of the data."""
        (result,) = self._client.put_records(StreamName=self._stream, Records=[record])["Records"]
        code = result.get("ErrorCode")
        if code:
            text = without_credentials(str(result.get("ErrorMessage", "")))
            raise AwsError(kind_of_code(str(code)), f"{code}: {text}")

    def close(self) -> None:
        """Close the connections. Idempotent."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def heartbeat_url(follower: str, stream: str) -> str | None:
    """Return the URL of the stream for heartbeats beside that of a follower; None if that is no stream."""
    if scheme_of(follower) != KINESIS:
        return None
    address = StreamAddress.parse(follower)
    return str(StreamAddress(address.region, stream, address.endpoint))


def heartbeat_of(
    moment: Moment,
    session: SessionState,
    number: int,
    at_ms: int,
    every_s: float,
    masked: Callable[[str], str] = str,
) -> "Heartbeat":
    """Return what is told of a moment."""
    from collector.sinks import HealthPart, Heartbeat  # noqa: PLC0415  (needs the extra)

    checked, view = moment.checked, moment.checked.view
    state, reasons = health_now(checked, moment.checked_ago_s, moment.every_s)
    return Heartbeat(
        session_id=session.session_id,
        host=session.host or "-",  # a partition key is not empty
        pid=session.pid,
        version=session.version,
        number=number,
        timestamp=at_ms,
        every_s=every_s,
        phase=moment.phase.value,
        status=state.value,
        reasons=tuple(masked(text) for text in reasons),
        since_s=max(0.0, (checked.at_ns - checked.since_ns) / NS_A_SECOND) + moment.checked_ago_s,
        checked_ago_s=moment.checked_ago_s,
        uptime_s=view.uptime_s,
        streams_asked_for=len(view.asked),
        streams_verified=sum(one.state == VERIFIED for one in view.asked),
        received=sum(one.counts.received for one in view.streams),
        written=sum(one.counts.written for one in view.streams),
        pending=view.pending,
        dropped=view.dropped,
        parts=tuple(
            HealthPart(part.name, part.state.value, masked(part.reason), part.figures)
            for part in checked.health.parts
        ),
    )
