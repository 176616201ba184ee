"""Bound the values that can be configured: each type with its limits, and the words for what it takes.

The classes that hold such values belong to the parts that use them; `settings/` composes and checks them.
"""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, MaxLen, MinLen


@dataclass(frozen=True, slots=True)
class Expected:
    """What a value must be, in the words of the message for one that is not."""

    text: str


Seconds = Annotated[float, Gt(0), Le(3600), Expected("seconds, above 0 and at most 3600")]
PerSecond = Annotated[float, Gt(0), Le(1_000_000), Expected("a number a second, above 0 and at most 1000000")]
Days = Annotated[float, Gt(0), Le(36_500), Expected("days, above 0 and at most 36500")]
LedgerDays = Annotated[  # longer than all waits together that a batch can be of unknown outcome for
    float,
    Ge(0.25),
    Le(36_500),
    Expected("days, from 0.25 to 36500: a batch of unknown outcome is looked up for hours"),
]
Hours = Annotated[int, Ge(1), Le(8_760), Expected("a whole number of hours, from 1 to 8760 (a year)")]
Milliseconds = Annotated[
    int, Ge(1), Le(86_400_000), Expected("whole milliseconds, from 1 to 86400000 (a day)")
]
Nap = Annotated[float, Ge(0), Le(100), Expected("milliseconds, from 0 (never) to 100")]
Count = Annotated[int, Ge(1), Le(1_000_000), Expected("a whole number from 1 to 1000000")]
Rows = Annotated[int, Ge(1), Le(10_000_000), Expected("a whole number from 1 to 10000000")]
Bytes = Annotated[
    int, Ge(65_536), Le(1 << 44), Expected("a whole number of bytes from 65536 to 17592186044416")
]
Places = Annotated[int, Ge(1), Le(1000), Expected("a whole number from 1 to 1000")]
Currency = Annotated[str, MinLen(1), MaxLen(20), Expected("the code of a currency, like USDT")]
Levels = Annotated[int, Ge(1), Le(1000), Expected("a whole number from 1 to 1000")]
Share = Annotated[float, Gt(0), Le(100), Expected("a share, above 0 and at most 100; 0.2 is 20 percent")]
Flag = Annotated[bool, Expected("true or false")]
Text = Annotated[str, MinLen(1), Expected("text")]
FilePath = Annotated[str | None, MinLen(1), Expected("the path of a file, or null")]
