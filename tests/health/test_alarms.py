"""One alarm when a part ceases to be healthy; none again before it was well for a minute."""

from collector.health.alarms import STARTS_WITHIN_S, WELL_FOR_S, HealthAlarms
from collector.health.rules import Health, Part, Verdict

ILL = Part("lag", Verdict.DEGRADED, "late", alarms=True)
WELL = Part("lag", alarms=True)
START_S = STARTS_WITHIN_S


class Told:
    def __init__(self) -> None:
        self.alarms: list[Part] = []
        self.ends: list[Part] = []
        self.one = HealthAlarms(self.alarms.append, self.ends.append)

    def look(self, part: Part, *at_s: float) -> int:
        for now_s in at_s:
            self.one.look(Health((part, Part("streams", Verdict.DEGRADED, "no part that alarms"))), now_s)
        return len(self.alarms)


def test_one_alarm_however_long_it_lasts() -> None:
    told = Told()
    assert told.look(ILL, *(START_S + second for second in range(500))) == 1
    assert told.alarms == [ILL]


def test_a_figure_that_stays_near_its_limit_alarms_once() -> None:
    told = Told()
    for second in range(0, 300, 2):
        told.look(ILL, START_S + second)
        told.look(WELL, START_S + second + 1)
    assert (len(told.alarms), told.ends) == (1, [])


def test_another_alarm_after_it_was_well_for_a_while() -> None:
    told = Told()
    told.look(ILL, START_S)
    told.look(WELL, START_S + 1, START_S + 1 + WELL_FOR_S)
    assert told.ends == [WELL]
    assert told.look(ILL, START_S + 2 + WELL_FOR_S) == 2


def test_the_first_moments_say_nothing() -> None:
    assert Told().look(ILL, 0.0, STARTS_WITHIN_S - 0.1) == 0
