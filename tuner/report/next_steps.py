"""What to do next, in sentences: the last lines of a report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tuner.report.comparisons.claims import incumbent_name
from tuner.report.report import Candidate, Comparison, Margin, Rival, Verdict
from tuner.search.decision.decisions import Role
from tuner.search.settings import BUDGETS


def next_steps(
    *,
    job_id: str,
    recommended: Candidate,
    comparisons: Sequence[Comparison],
    at_edge: bool,
    budget: float,
    named_by_user: bool,
    compared: bool,
    margin: Margin,
) -> tuple[str, ...]:
    """What to do next.

    Args:
        job_id: Id of the job, for the commands.
        recommended: The recommended candidate.
        comparisons: With all rivals.
        at_edge: Whether its peak lies at the edge of the searched range.
        budget: Of the job, in full runs.
        named_by_user: Whether the incumbent was named in the request.
        compared: Whether anything was compared.
        margin: The gain from which a change is worth it.
    """
    incumbent = next(one for one in comparisons if one.rival is Rival.INCUMBENT)
    return (
        _use(recommended, job_id=job_id, incumbent=incumbent, named_by_user=named_by_user, margin=margin),
        *_plainer(recommended, job_id=job_id, comparisons=comparisons),
        *_settle(incumbent, job_id=job_id, budget=budget, compared=compared),
        *(
            [f"To look beyond the searched peaks: `tuner submit --from {job_id} --peak-lr LOW..HIGH`."]
            if at_edge
            else []
        ),
    )


def _use(recommended: Candidate, *, job_id: str, incumbent: Comparison, named_by_user: bool, margin: Margin) -> str:
    if recommended.role is Role.INCUMBENT:
        name = incumbent_name(named_by_user=named_by_user)
        return f"Train with {name}, {recommended.label}: nothing here is expected to be better."
    little = incumbent.verdict is Verdict.HELPS and incumbent.worth_it is False
    if little and margin.least_gain is not None:
        name = incumbent_name(named_by_user=named_by_user)
        return f"Keep {name}, {incumbent.label}: {recommended.label} is better, by less than the job asks for."
    if little:
        why = "but do not expect much of it"
    elif incumbent.verdict is Verdict.HELPS:
        why = "the gain is shown"
    else:
        why = "it is expected to be the best, though that is not settled"
    export = f"`tuner schedule export --job {job_id}` writes it for your framework."
    return f"Train with {recommended.label}: {why}. {export}"


def _plainer(recommended: Candidate, *, job_id: str, comparisons: Sequence[Comparison]) -> Iterator[str]:
    """How to learn whether something plainer than the recommended schedule would do, where that is not settled."""
    unsettled = {one.rival for one in comparisons if one.verdict is Verdict.NOT_SETTLED}
    ways = []
    if Rival.NO_WARMUP in unsettled and recommended.schedule.warmup.shape != "none":
        ways.append(("you need the warm-up", "no-warmup"))
    if Rival.CONSTANT in unsettled and recommended.schedule.family.name != "constant":
        ways.append(("a schedule helps at all", "constant"))
    for question, against in ways:
        command = f"tuner submit --from {job_id} --against {against} --budget {BUDGETS['quick']:g}"
        yield f"To learn whether {question}: `{command}`."


def _settle(incumbent: Comparison, *, job_id: str, budget: float, compared: bool) -> Iterator[str]:
    if not compared:
        yield f"To compare it with others: `tuner submit --from {job_id} --budget {BUDGETS['quick']:g}`, or more."
    elif incumbent.verdict is Verdict.NOT_SETTLED and incumbent.cost_to_settle is not None:
        runs = math.ceil(max(incumbent.cost_to_settle, BUDGETS["quick"]))
        yield f"To settle it: `tuner submit --from {job_id} --budget {runs}` trains what is in front on fresh seeds."
    elif incumbent.verdict is Verdict.NOT_SETTLED and budget < BUDGETS["thorough"]:
        yield f"To search on: `tuner submit --from {job_id} --budget {BUDGETS['thorough']:g}`."
