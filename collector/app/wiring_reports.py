"""Build from the settings what reports on a running collector: heartbeats into streams of Kinesis."""

from collections.abc import Iterator
from functools import partial

from collector.app.heartbeat import CALL_TIMEOUT_S, Heartbeats, heartbeat_url
from collector.app.reporting import Reporter
from collector.aws import KINESIS, StreamAddress, make_client
from collector.masking import without
from collector.settings import Settings
from collector.sinks import SessionState


def heartbeats_of(settings: Settings, session: SessionState) -> Iterator[Reporter]:
    """Yield what puts heartbeats into the streams that followers name, each stream once."""
    seen: set[str] = set()
    secrets = settings.secrets()
    for follower in settings.followers:
        wanted = follower.heartbeat
        url = None if wanted is None else heartbeat_url(follower.url, wanted.stream)
        if wanted is None or url is None or url in seen:
            continue
        seen.add(url)
        into = StreamAddress.parse(url)
        connect = partial(make_client, KINESIS, into.region, into.endpoint, call_timeout_s=CALL_TIMEOUT_S)
        heartbeats = Heartbeats(
            into.stream, session, wanted.every_s, connect, lambda text: without(text, secrets)
        )
        yield Reporter(f"heartbeat {into}", wanted.every_s, heartbeats, heartbeats.close)
