"""The gain from which a change of schedule is worth it, and where it comes from."""

from __future__ import annotations

from tuner.report.evidence import Evidence
from tuner.report.report import Margin
from tuner.report.wording import margin_sentence


def margin_of(evidence: Evidence) -> Margin:
    """The margin of a study: what more steps gain, or a tenth of the spread over seeds; at least what the job names."""
    state, estimates = evidence.result.state, evidence.estimates
    least = state.settings.least_gain
    named = least is not None and estimates.margin <= least
    margin = Margin(
        value=estimates.margin,
        worth=None if named or state.margin is None else state.settings.worth,
        least_gain=least if named else None,
        noise=estimates.noise_std,
        noise_is_measured=evidence.noise_is_measured,
        sentence="",
    )
    return margin.model_copy(update={"sentence": margin_sentence(margin, metric=state.metric)})
