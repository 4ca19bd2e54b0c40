"""What pruning lost, measured on trials that were pruned and trained to the end all the same."""

from __future__ import annotations

import statistics

from tuner.report.insights import AuditedTrial, PruningAudit
from tuner.report.study_result import StudyResult
from tuner.report.wording import loss_text
from tuner.search.decision.decisions import TrialStatus


def audit_pruning(result: StudyResult) -> PruningAudit:
    """Hold the audited trials against the best that pruning left.

    The regret of an audited trial is max(0, lowest loss of the others at the horizon - its own), both on the search's
    seed; that of one that diverged is zero.

    Args:
        result: The study.

    Returns:
        The audit; it says so when nothing was audited.
    """
    top = len(result.rung_steps)
    kept = [
        trial.losses[-1] for trial in result.trials if len(trial.losses) == top and trial.number not in result.audits
    ]
    best = min((loss for loss in kept if loss is not None), default=None)
    labels = {trial.number: trial.configuration.label for trial in result.trials}
    trials = tuple(
        AuditedTrial(trial=number, label=labels[number], loss=loss, regret=_regret(loss, best=best))
        for number, loss in sorted(result.audits.items())
    )
    regrets = [trial.regret for trial in trials]
    audit = PruningAudit(
        trials=trials,
        best_search_loss=best,
        false_prunes=sum(regret > 0.0 for regret in regrets),
        mean_regret=statistics.fmean(regrets) if regrets else None,
        largest_regret=max(regrets, default=None),
        sentence="",
    )
    pruned = any(trial.status is TrialStatus.PRUNED and None not in trial.losses for trial in result.trials)
    sentence = _sentence(audit) if pruned or trials else "No trial lost at a rung: there was nothing to audit."
    return audit.model_copy(update={"sentence": sentence})


def _regret(loss: float | None, *, best: float | None) -> float:
    return 0.0 if loss is None or best is None else max(0.0, best - loss)


def _sentence(audit: PruningAudit) -> str:
    count = len(audit.trials)
    if not count:
        return "Nothing was audited: whether pruning lost a better schedule was not measured."
    if audit.best_search_loss is None:
        return f"{_trials(count)} that had been pruned were trained to the end, but nothing else was to compare with."
    trained = f"{_trials(count)} that had been pruned {'was' if count == 1 else 'were'} trained to the end all the same"
    best = f"the best search loss at the horizon, {loss_text(audit.best_search_loss)}"
    if not audit.false_prunes:
        return f"{trained}; none beat {best}: pruning lost nothing there."
    return (
        f"{trained}; {audit.false_prunes} beat {best}, wrongly pruned: regret {loss_text(audit.mean_regret)} in the "
        f"mean, {loss_text(audit.largest_regret)} at most."
    )


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"
