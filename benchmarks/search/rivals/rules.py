"""What people do without a search: rules of thumb, a few peaks of a known shape, random search."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from random import Random

from benchmarks.search.cases import Case
from benchmarks.search.rivals.path import Path
from tuner.schedules import Cosine, Linear, Wsd
from tuner.search.configuration import Configuration

PEAKS = 3


def random_search(case: Case, budget: float) -> Path:
    """In a random order, each in full."""
    return _in_turn(case, _shuffled(case, case.candidates), budget=budget)


def linear_at_three_peaks(case: Case, budget: float) -> Path:
    """Linear to zero at three peaks, evenly spread over those of the table, the middle one first."""
    return _in_turn(case, _spread(linears(case)), budget=budget)


def cosine_at_three_peaks(case: Case, budget: float) -> Path:
    """Cosine to zero, likewise."""
    return _in_turn(case, _spread(cosines(case)), budget=budget)


def linear_then_shapes(case: Case, budget: float) -> Path:
    """Linear to zero at all peaks, the middle one first; then, in a random order, all that has the best of them."""
    path = _in_turn(case, _from_the_middle(linears(case)), budget=budget)
    if path.complete:
        _, best, _ = min(path.complete, key=lambda row: row[2])
        there = [one for one in case.candidates if one.schedule.peak_lr == best.schedule.peak_lr]
        _train(path, _shuffled(case, [one for one in there if one not in path.asked]), budget=budget)
    return path


def default_once(case: Case, budget: float) -> Path:
    """A rule of thumb: the incumbent as it is, trained once."""
    return _in_turn(case, [case.incumbent], budget=budget)


def linear_once(case: Case, budget: float) -> Path:
    """A rule of thumb: linear to zero at the peak that is next to the incumbent's."""
    peak = case.incumbent.schedule.peak_lr
    nearest = sorted(linears(case), key=lambda one: abs(math.log(one.schedule.peak_lr / peak)))
    return _in_turn(case, nearest[:1], budget=budget)


def linears(case: Case) -> list[Configuration]:
    """Linear to zero by peak; where no linear decay was recorded, the longest linear cooldown."""
    found = [one for one in case.candidates if isinstance(one.schedule.family, Linear) and not one.schedule.floor]
    if found:
        return _one_a_peak(found)
    lengths = ((one, _linear_cooldown(one)) for one in case.candidates)
    cooldowns = {one: length for one, length in lengths if length is not None}
    longest = max(cooldowns.values(), default=0.0)
    return _one_a_peak([one for one, cooldown in cooldowns.items() if cooldown == longest])


def _linear_cooldown(one: Configuration) -> float | None:
    """The share of the run that a linear cooldown to zero takes; ``None`` of another shape."""
    family = one.schedule.family
    if not isinstance(family, Wsd) or family.shape != "linear" or one.schedule.floor:
        return None
    return family.cooldown if isinstance(family.cooldown, float) else None


def cosines(case: Case) -> list[Configuration]:
    """Cosine to zero by peak."""
    return _one_a_peak(
        [one for one in case.candidates if isinstance(one.schedule.family, Cosine) and not one.schedule.floor]
    )


def _one_a_peak(configurations: Iterable[Configuration]) -> list[Configuration]:
    """One for each peak, ascending: the one whose warm-up is next to the usual 5 % where there are several."""
    by_peak: dict[float, Configuration] = {}
    for one in sorted(configurations, key=lambda one: abs((one.schedule.warmup.fraction or 0.0) - 0.05)):
        by_peak.setdefault(one.schedule.peak_lr, one)
    return [by_peak[peak] for peak in sorted(by_peak)]


def _spread(configurations: Sequence[Configuration]) -> list[Configuration]:
    """Three of them, evenly spread, the middle one first."""
    count = len(configurations)
    if count <= PEAKS:
        return _from_the_middle(configurations)
    return _from_the_middle([configurations[int((place + 0.5) * count / PEAKS)] for place in range(PEAKS)])


def _from_the_middle(configurations: Sequence[Configuration]) -> list[Configuration]:
    middle = (len(configurations) - 1) / 2
    order = sorted(range(len(configurations)), key=lambda place: abs(place - middle))
    return [configurations[place] for place in order]


def _shuffled(case: Case, configurations: Sequence[Configuration]) -> list[Configuration]:
    return Random(f"random search of study {case.number}").sample(list(configurations), len(configurations))


def _in_turn(case: Case, configurations: Iterable[Configuration], *, budget: float) -> Path:
    path = Path(case=case)
    _train(path, configurations, budget=budget)
    return path


def _train(path: Path, configurations: Iterable[Configuration], *, budget: float) -> None:
    for configuration in configurations:
        if path.cost + 1.0 > budget + 1e-9:
            return
        path.train(configuration)
