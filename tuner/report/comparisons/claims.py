"""The sentences of comparisons: what is claimed of a rival, with its size, and what is not settled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tuner.metric import Metric
from tuner.report.comparisons.exploration import MIN_PEAKS
from tuner.report.report import Gain, Margin, Rival, Verdict
from tuner.report.wording import (
    better,
    gain_with_interval,
    margin_text,
    seeds_text,
    settling_text,
    steps_text,
    worse,
)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the sentence of a comparison needs, beside its gain and verdict."""

    rival: Rival
    metric: Metric
    margin: Margin
    named_by_user: bool
    """Whether the incumbent was named in the request."""
    rival_label: str
    best_label: str | None
    """``None`` when every trial at the horizon is such a rival."""
    rival_trained: bool
    rival_diverged: int
    forecast: bool
    """Whether the rival was stopped early."""
    with_warmup_alone: bool
    """Whether constant rates were trained with a warm-up alone."""
    explored: bool
    """Whether enough peaks of such rivals were tried for a claim about all of them."""
    others_tried: int
    """Distinct peaks that were tried of schedules that are no such rival."""
    confirmed: bool
    """Whether any schedule was trained on two seeds."""
    noise_is_known: bool
    """Whether the runs say how large the noise is."""


@dataclass(frozen=True, kw_only=True)
class _Words:
    helps: str
    does_not: str
    question: str
    """With a place for the rival's name."""
    short: str
    """The question without that."""
    rival: str
    others: str
    untrained: str


_CONSTANT: Final = _Words(
    helps="A schedule helps here",
    does_not="A schedule does not help here",
    question="Whether a schedule helps over {}",
    short="Whether a schedule helps",
    rival="the best constant rate without warm-up",
    others="schedule",
    untrained="no constant rate without warm-up was trained to the end",
)
_NO_WARMUP: Final = _Words(
    helps="A warm-up helps here",
    does_not="You need no warm-up here",
    question="Whether a warm-up helps over {}",
    short="Whether you need a warm-up",
    rival="the best schedule without warm-up",
    others="schedule with a warm-up",
    untrained="no schedule without warm-up was trained to the end",
)


def incumbent_name(*, named_by_user: bool) -> str:
    """What the incumbent is called in sentences."""
    return "what you use today" if named_by_user else "the usual default"


def rival_name(facts: Facts) -> str:
    """The rival in words."""
    return _words(facts).rival


def claim(facts: Facts, *, verdict: Verdict, gain: Gain | None, worth_it: bool | None, cost: float | None) -> str:
    """The sentence of a comparison."""
    words = _words(facts)
    rival = f"{words.rival} ({facts.rival_label}{_by_forecast(facts)})"
    if gain is None:
        return _without_gain(facts, words=words, rival=rival, verdict=verdict)
    match verdict:
        case Verdict.HELPS:
            return _helps(facts, words=words, rival=rival, gain=gain, worth_it=bool(worth_it))
        case Verdict.DOES_NOT_HELP:
            return (
                f"{words.does_not}: no other {words.others} that was trained is better than {rival} by "
                f"{_margin(facts)}. The best of them, {facts.best_label}, {_compared(gain, facts=facts)}."
                f"{_unconfirmed(facts)}"
            )
        case Verdict.NOT_SETTLED:
            question = words.question.format(rival)
            known = f"{facts.best_label} {_compared(gain, facts=facts)}{_unknown(facts)}"
            return f"{question} is not settled: {known}. To settle it would probably take {settling_text(cost)}."


def _helps(facts: Facts, *, words: _Words, rival: str, gain: Gain, worth_it: bool) -> str:
    helps = (
        words.helps
        if facts.explored or facts.rival is Rival.INCUMBENT
        else f"As far as was tried, {_lower(words.helps)}"
    )
    small = "" if worth_it else f", but by less than is worth a change, {_margin(facts)}"
    return (
        f"{helps}{small}: {facts.best_label} has a {better(facts.metric)} {facts.metric.name} than {rival}, "
        f"by {gain_with_interval(gain, metric=facts.metric)}{_steps(gain)}."
        f"{_unconfirmed(facts)}"
    )


def _compared(gain: Gain, *, facts: Facts) -> str:
    """The predicate of the best schedule: its gain, in the direction that it has."""
    side = better(facts.metric) if gain.mean >= 0.0 else worse(facts.metric)
    amount = gain_with_interval(gain, metric=facts.metric)
    return f"has a {side} {facts.metric.name} by {amount}{_steps(gain)}"


def _steps(gain: Gain) -> str:
    return "" if gain.steps is None else f", {steps_text(gain.steps)}"


def _without_gain(facts: Facts, *, words: _Words, rival: str, verdict: Verdict) -> str:
    question = f"{words.short} is not settled"
    if verdict is Verdict.HELPS:
        return f"{words.helps}: {rival} diverged on {seeds_text(facts.rival_diverged)}, {facts.best_label} on none."
    if not facts.rival_trained:
        trained = "constant rates were trained with a warm-up alone" if facts.with_warmup_alone else words.untrained
        return f"{question}: {trained}, so nothing is claimed. One or two full runs would tell."
    if facts.best_label is None:
        return f"{question}: no other {words.others} reached the end without divergence."
    return f"{question}: {rival} diverged on {seeds_text(facts.rival_diverged)}; at a lower peak it may not."


def _words(facts: Facts) -> _Words:
    match facts.rival:
        case Rival.CONSTANT:
            return _CONSTANT
        case Rival.NO_WARMUP:
            return _NO_WARMUP
        case Rival.INCUMBENT:
            name = incumbent_name(named_by_user=facts.named_by_user)
            return _Words(
                helps="It helps",
                does_not=f"A change from {name} does not help",
                question="Whether a change from {} helps",
                short=f"Whether a change from {name} helps",
                rival=name,
                others="schedule",
                untrained=f"{facts.rival_label} was not trained to the end",
            )


def _unknown(facts: Facts) -> str:
    if not facts.noise_is_known:
        return "; so few runs on one seed do not show how much of that is noise"
    if facts.others_tried < MIN_PEAKS:
        few = "one peak alone was" if facts.others_tried == 1 else f"{facts.others_tried} peaks alone were"
        return f", but of other schedules {few} tried"
    return ""


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _unconfirmed(facts: Facts) -> str:
    return "" if facts.confirmed else " No schedule was trained on a second seed: this is not confirmed."


def _by_forecast(facts: Facts) -> str:
    return "; stopped early, so by its forecast" if facts.forecast else ""


def _margin(facts: Facts) -> str:
    return margin_text(facts.margin, metric=facts.metric)
