"""Say in a table what became of each plant. Pure."""

from collections import Counter
from collections.abc import Sequence

from planting.folders import folder_of
from planting.rounds import Fate, Result

ENOUGH = 0.95  # of the plants that matter
WIDTH = 150


def share_caught(results: Sequence[Result]) -> float:
    """Return the share that was caught of what matters; 1 where nothing does."""
    fates = Counter(one.fate for one in results)
    matter = len(results) - fates[Fate.EQUIVALENT]
    return fates[Fate.CAUGHT] / matter if matter else 1.0


def rows(results: Sequence[Result]) -> list[str]:
    """Give two or three lines a plant: its place and its fate, what was planted, and who caught it."""
    lines = []
    for number, one in enumerate(results, 1):
        plant = one.plant
        scope = f" {plant.scope}" if plant.scope else ""
        lines.append(f"{number:>4} {one.fate:<10} {plant.module}:{plant.lines[0]}{scope} [{plant.operator}]")
        lines.append(f"     {_cut(plant.before)}  ->  {_cut(plant.after, WIDTH // 3)}")
        if one.detail:
            lines.append(f"     {one.detail}")
    return lines


def summary(results: Sequence[Result]) -> list[str]:
    """Count the fates, folder by folder and of all."""
    folders = sorted({folder_of(one.plant.module) for one in results})
    heads = [fate.value for fate in Fate]
    lines = ["".join([f"{'folder':<12}{'planted':>9}", *(f"{head:>12}" for head in heads)])]
    for folder in (*folders, "all"):
        own = [one for one in results if folder in ("all", folder_of(one.plant.module))]
        fates = Counter(one.fate for one in own)
        lines.append(f"{folder:<12}{len(own):>9}" + "".join(f"{fates[fate]:>12}" for fate in Fate))
    fates = Counter(one.fate for one in results)
    matter = len(results) - fates[Fate.EQUIVALENT]
    caught, share = fates[Fate.CAUGHT], share_caught(results)
    verdict = f"{caught} of {matter} that matter were caught: {share:.1%} (at least {ENOUGH:.0%} expected)"
    return [*lines, "", verdict]


def _cut(text: str, width: int = WIDTH) -> str:
    """Shorten a long statement to what stands around the mark."""
    if len(text) <= width:
        return text
    mark = max(0, text.find("«") - width // 3)
    return ("... " if mark else "") + text[mark : mark + width] + (" ..." if mark + width < len(text) else "")
