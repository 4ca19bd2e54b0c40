"""The cost of pruning, measured on pruned trials that were trained to the end all the same."""

from __future__ import annotations

import statistics

from tuner.metric import Metric
from tuner.report.insights import AuditedTrial, PruningAudit
from tuner.report.study_result import StudyResult
from tuner.report.wording import difference_text
from tuner.search.decision.decisions import TrialStatus


def audit_pruning(result: StudyResult) -> PruningAudit:
    """Compare the audited trials with the best that pruning left.

    The regret of an audited trial is max(0, lowest loss of the others at the horizon - its own), both on the search's
    seed; that of one that diverged is zero.

    Args:
        result: The study.

    Returns:
        The audit; it says so when nothing was audited.
    """
    top = len(result.rung_steps)
    metric = result.metric
    unpruned = [
        trial.losses[-1] for trial in result.trials if len(trial.losses) == top and trial.number not in result.audits
    ]
    best = min((loss for loss in unpruned if loss is not None), default=None)
    labels = {trial.number: trial.configuration.label for trial in result.trials}
    trials = tuple(
        AuditedTrial(
            trial=number, label=labels[number], value=metric.value_or_none(loss), regret=_regret(loss, best=best)
        )
        for number, loss in sorted(result.audits.items())
    )
    regrets = [trial.regret for trial in trials]
    audit = PruningAudit(
        trials=trials,
        best_search_value=metric.value_or_none(best),
        false_prunes=sum(regret > 0.0 for regret in regrets),
        mean_regret=statistics.fmean(regrets) if regrets else None,
        largest_regret=max(regrets, default=None),
        sentence="",
    )
    pruned = any(trial.status is TrialStatus.PRUNED and None not in trial.losses for trial in result.trials)
    sentence = (
        _sentence(audit, metric=metric) if pruned or trials else "No trial lost at a rung: there was nothing to audit."
    )
    return audit.model_copy(update={"sentence": sentence})


def _regret(loss: float | None, *, best: float | None) -> float:
    return 0.0 if loss is None or best is None else max(0.0, best - loss)


def _sentence(audit: PruningAudit, *, metric: Metric) -> str:
    count = len(audit.trials)
    if not count:
        return "Nothing was audited: whether pruning lost a better schedule was not measured."
    if audit.best_search_value is None or audit.mean_regret is None or audit.largest_regret is None:
        return f"{_trials(count)} that had been pruned were trained to the end, but nothing was there to compare with."
    trained = f"{_trials(count)} that had been pruned {'was' if count == 1 else 'were'} trained to the end all the same"
    best = f"the best result of the search at the horizon, {metric.text(audit.best_search_value)}"
    if not audit.false_prunes:
        return f"{trained}; none beat {best}: pruning lost nothing there."
    mean, most = (difference_text(regret, metric=metric) for regret in (audit.mean_regret, audit.largest_regret))
    return f"{trained}; {audit.false_prunes} beat {best}, wrongly pruned: regret {mean} in the mean, {most} at most."


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"
