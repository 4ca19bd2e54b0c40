"""The comparison with each rival: the gain with its interval, the verdict, and what it would cost to settle it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from tuner.report.comparisons.claims import Facts, claim, rival_name
from tuner.report.comparisons.exploration import MIN_PEAKS, peaks_tried
from tuner.report.comparisons.rivals import (
    Standing,
    best_against,
    constants_have_warmup,
    is_rival,
    label_of_rival,
    standing_of,
)
from tuner.report.evidence import Evidence
from tuner.report.margin import margin_of
from tuner.report.report import Comparison, Gain, Rival, StepsGain, Verdict
from tuner.report.wording import MOST_RUNS
from tuner.search.decision.estimates import Difference
from tuner.search.worth import Normal, StepsFactor
from tuner.search.worth.loss_over_steps import MAX_FACTOR

_NORMAL_95: Final = 1.959964


def compare_with_rivals(evidence: Evidence) -> tuple[Comparison, ...]:
    """The comparisons with all rivals, in the order of `Rival`."""
    return tuple(_compare(rival, evidence=evidence) for rival in Rival)


def runs_to_settle(difference: Difference, *, margin: float, noise_std: float) -> float | None:
    """Full runs, half of each schedule, after which the interval of a gain probably decides.

    With m further runs of each, the precision of the difference grows by ``m / (2 noise^2)``; the interval has to
    exclude zero, or the margin, whichever is farther from the mean.

    Args:
        difference: Of two expected losses; its sign is that of the gain.
        margin: Least gain that is worth a change.
        noise_std: Standard deviation of a run's loss over seeds.

    Returns:
        At least 2; ``None`` when they are more than `MOST_RUNS`, or cannot be predicted.
    """
    distance = max(difference.mean, margin - difference.mean)
    if not (distance > 0.0 and all(math.isfinite(number) for number in (distance, difference.std, noise_std))):
        return None
    # Clipped, since a tiny distance would overflow when squared.
    ratios = (min(_NORMAL_95 * noise_std / distance, 1e6), min(noise_std / max(difference.std, 1e-300), 1e6))
    runs = 2 * max(math.ceil(2.0 * (ratios[0] ** 2 - ratios[1] ** 2)), 1)
    return float(runs) if runs <= MOST_RUNS else None


def _compare(rival: Rival, *, evidence: Evidence) -> Comparison:
    standing = standing_of(rival, evidence=evidence)
    best = best_against(rival, evidence=evidence)
    facts = Facts(
        rival=rival,
        metric=evidence.result.metric,
        margin=margin_of(evidence),
        named_by_user=evidence.result.state.settings.incumbent is not None,
        rival_label=label_of_rival(rival, standing=standing, evidence=evidence),
        best_label=None if best is None else evidence.view(best).configuration.label,
        rival_trained=standing.trial is not None,
        rival_diverged=standing.diverged,
        forecast=standing.forecast,
        with_warmup_alone=constants_have_warmup(rival, evidence=evidence),
        explored=len(peaks_tried(evidence, rival=rival)) >= MIN_PEAKS,
        others_tried=len(peaks_tried(evidence, other_than=rival)),
        confirmed=evidence.noise_is_measured,
        noise_is_known=evidence.noise_is_known,
    )
    if standing.trial is None or best is None or standing.diverged:
        lost = rival is Rival.INCUMBENT and best is not None and standing.diverged
        verdict = Verdict.HELPS if lost else Verdict.NOT_SETTLED
        cost = 2.0 if standing.trial is None and best is not None else None
        return _comparison(facts, standing=standing, best=best, verdict=verdict, gain=None, cost=cost)
    differences = _differences(rival, standing=standing, evidence=evidence)
    ours = differences[best]
    verdict, cost = Verdict.NOT_SETTLED, None
    if evidence.noise_is_known:
        verdict = _verdict(differences, ours=ours, margin=facts.margin.value)
    if verdict is Verdict.DOES_NOT_HELP and facts.others_tried < MIN_PEAKS:
        # It would be a claim about all schedules, from hardly any.
        verdict, cost = Verdict.NOT_SETTLED, float(MIN_PEAKS - facts.others_tried)
    elif verdict is Verdict.NOT_SETTLED:
        # Where the best is settled, another one may still be better by the margin.
        doubtful = ours if ours.high >= facts.margin.value else max(differences.values(), key=lambda one: one.high)
        cost = runs_to_settle(doubtful, margin=facts.margin.value, noise_std=evidence.estimates.noise_std)
    gain = _gain(ours, standing=standing, best=best, evidence=evidence)
    return _comparison(facts, standing=standing, best=best, verdict=verdict, gain=gain, cost=cost)


def _comparison(
    facts: Facts, *, standing: Standing, best: int | None, verdict: Verdict, gain: Gain | None, cost: float | None
) -> Comparison:
    worth_it = None if gain is None else gain.mean >= facts.margin.value
    return Comparison(
        rival=facts.rival,
        trial=None if standing.trial is None else standing.trial.number,
        name=rival_name(facts),
        label=facts.rival_label,
        forecast=facts.forecast,
        best=best,
        verdict=verdict,
        gain=gain,
        worth_it=worth_it,
        cost_to_settle=cost,
        sentence=claim(facts, verdict=verdict, gain=gain, worth_it=worth_it, cost=cost),
    )


def _verdict(differences: Mapping[int, Difference], *, ours: Difference, margin: float) -> Verdict:
    if ours.low > 0.0:
        return Verdict.HELPS
    if all(one.high < margin for one in differences.values()):
        return Verdict.DOES_NOT_HELP
    return Verdict.NOT_SETTLED


def _differences(rival: Rival, *, standing: Standing, evidence: Evidence) -> dict[int, Difference]:
    """The rival's expected loss less that of each trial that is no such rival: positive where the trial is better."""
    others = [trial for trial in evidence.stable if not is_rival(trial, rival=rival, evidence=evidence)]
    if standing.loss is not None:
        return {trial: _apart(standing.loss, trial=trial, evidence=evidence) for trial in others}
    assert standing.trial is not None
    number = standing.trial.number
    return {trial: evidence.estimates.difference(number, to=trial) for trial in others}


def _apart(rival: Normal, *, trial: int, evidence: Evidence) -> Difference:
    """The difference of a loss that the estimates do not have to a trial's, as independent ones."""
    loss = evidence.estimates.expected(trial)
    mean, std = rival.mean - loss.mean, math.hypot(rival.std, loss.std)
    return Difference(mean=mean, std=std, low=mean - _NORMAL_95 * std, high=mean + _NORMAL_95 * std)


def _gain(difference: Difference, *, standing: Standing, best: int, evidence: Evidence) -> Gain:
    assert standing.trial is not None
    loss = (standing.loss or evidence.estimates.expected(standing.trial.number)).mean
    value = evidence.result.metric.value(loss)
    # Relative to the rival at its mean: what the two losses have in common does not make the factor uncertain.
    factor = evidence.loss_over_steps.factor(
        rival=standing.trial.configuration,
        rival_loss=Normal(mean=loss, std=0.0),
        loss=Normal(mean=loss - difference.mean, std=difference.std),
    )
    return Gain(
        mean=difference.mean,
        low=difference.low,
        high=difference.high,
        percent=100.0 * difference.mean / value if value > 0.0 else None,
        steps=None if factor is None else _steps_gain(factor),
    )


def _steps_gain(factor: StepsFactor) -> StepsGain:
    high = None if factor.high is None or factor.high >= MAX_FACTOR else factor.high
    or_more = factor.factor >= MAX_FACTOR
    return StepsGain(factor=factor.factor, low=factor.low, high=high, or_more=or_more, basis=factor.basis)
