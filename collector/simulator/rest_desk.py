"""How an exchange's REST server answers: the way there, its limits, its queue, its faults, the way back."""

import asyncio

from collector.simulator.exchanges.exchange import Exchange
from collector.simulator.exchanges.messages import Answer, Request
from collector.simulator.world import World


class RestDesk:
    """Answers REST requests; each exchange's limits and queues are its own, as are those of its kinds."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._free_at_s: dict[tuple[str, str], float] = {}

    async def answer(self, exchange: Exchange, asked: Request) -> Answer:
        """Answer a request as its exchange does at this distance."""
        conditions = self._world.conditions[exchange.name]
        await _pass(conditions.delay_s())
        answer = await self._answer(exchange, asked, conditions.service_ms / 1000)
        await _pass(conditions.delay_s())
        return answer

    async def _answer(self, exchange: Exchange, asked: Request, service_s: float) -> Answer:
        world = self._world
        rule, weight = exchange.rule(asked)
        now_ms = world.clock_ns(exchange.name) // 1_000_000
        verdict = world.allowances.spend(exchange.name, rule, weight, now_ms)
        if verdict.wait_ms:
            return exchange.over_limit(verdict)
        await self._queue((exchange.name, rule.bucket), service_s)
        fault = world.take_rest_fault(exchange, asked)
        answer = world.rest(exchange, asked, world.clock_ns(exchange.name) // 1_000_000)
        answer = answer._replace(headers={**answer.headers, **exchange.used_headers(verdict)})
        if fault is None:
            return answer
        world.truth.note_fault(f"{fault.name} applied", exchange.name, detail=asked.path)
        await _pass(fault.delay_s)
        return fault.change(answer)

    async def _queue(self, server: tuple[str, str], service_s: float) -> None:
        """Wait until a server has made the answers asked for before, and this one."""
        if service_s:
            now_s = asyncio.get_running_loop().time()
            self._free_at_s[server] = max(now_s, self._free_at_s.get(server, 0.0)) + service_s
            await _pass(self._free_at_s[server] - now_s)


async def _pass(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)
