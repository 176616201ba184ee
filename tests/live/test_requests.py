"""Answers find the request that they are about, also those that do not say it."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from collector.errors import StreamError
from collector.events.messages import Ack
from collector.live.requests import Requests

NO = Ack(None, False, "Exceeded msg rate")


def run(scene: Callable[[Requests], Awaitable[None]]) -> None:
    async def both() -> None:
        async with asyncio.timeout(10.0):
            await scene(Requests(_send, timeout_s=60.0))

    asyncio.run(both())


async def _send(_payload: object) -> None:
    pass


async def asking(requests: Requests, *counts: int) -> list[asyncio.Task[list[Ack]]]:
    """Send requests with so many answers each, and let them wait."""
    tasks = [asyncio.create_task(requests.ask(requests.new_id(), {}, count)) for count in counts]
    await asyncio.sleep(0)
    return tasks


def test_a_refusal_that_names_no_topic_settles_all_that_is_missing() -> None:
    async def scene(requests: Requests) -> None:
        (task,) = await asking(requests, 3)
        accepted, refused = Ack("1", True, topic="a"), Ack("1", False, "no")
        assert requests.answered(accepted)
        assert requests.answered(refused)
        assert await task == [accepted, refused]
        assert not requests.answered(Ack("1", True, topic="b"))  # too late

    run(scene)


def test_a_refusal_that_names_its_topic_settles_that_one() -> None:
    async def scene(requests: Requests) -> None:
        (task,) = await asking(requests, 2)
        requests.answered(Ack("1", False, "no", topic="a"))
        assert not task.done()
        requests.answered(Ack("1", True, topic="b"))
        assert [one.accepted for one in await task] == [False, True]

    run(scene)


def test_a_refusal_without_an_id_is_about_the_oldest_request_that_waits() -> None:
    async def scene(requests: Requests) -> None:
        first, second = await asking(requests, 2, 2)
        assert requests.answered(NO)
        assert await first == [NO]
        assert not second.done()
        assert requests.answered(NO)
        assert await second == [NO]
        assert not requests.answered(NO)

    run(scene)


def test_an_acceptance_without_an_id_is_about_none() -> None:
    async def scene(requests: Requests) -> None:
        (task,) = await asking(requests, 1)
        assert not requests.answered(Ack(None, True))
        requests.abandon("gone")
        with pytest.raises(StreamError, match="gone"):
            await task

    run(scene)


def test_a_request_that_is_still_being_sent_when_the_socket_goes_leaves_nothing_behind() -> None:
    async def scene(_: Requests) -> None:
        unseen: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context["message"]))

        async def fails(_payload: object) -> None:
            requests.abandon("close_1006")
            raise StreamError("not sent")

        requests = Requests(fails, timeout_s=60.0)
        with pytest.raises(StreamError, match="not sent"):
            await requests.ask(requests.new_id(), {})
        gc.collect()
        await asyncio.sleep(0)
        assert unseen == []

    run(scene)
