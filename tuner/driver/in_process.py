"""A runner in this process: trains on the calling thread, so that Ctrl-C reaches the training code."""

from __future__ import annotations

import os
from collections.abc import Callable

from tuner.driver.oom_killer import OomKiller
from tuner.driver.process_memory import ProcessMemory
from tuner.driver.runner import RunnerDied
from tuner.driver.supervisor import Report, RunSupervisor
from tuner.training.branches import BranchCache, branch_memory
from tuner.training.protocol import Directive, Ended, Evaluated, Hello, Train
from tuner.training.runner.execute import execute
from tuner.training.runner.out_of_memory import MemoryUse
from tuner.training.workload import Workload, describe


class InProcessRunner:
    """Trains the runs of one workload.

    A limit can be enforced where the run reports: at its evaluations, and of steps that the engine owns once a second.

    Args:
        workload: What it trains.
        device: As torch names it.
        memory_limit_mib: Memory that this process may have with those that it starts; no limit when absent.
        memory_limit_name: The setting behind it, for the error.
        on_evaluation: Called after each evaluation is stored.
    """

    alive = True

    def __init__(
        self,
        workload: Workload,
        *,
        device: str,
        memory_limit_mib: int | None,
        memory_limit_name: str,
        on_evaluation: Callable[[], None],
    ) -> None:
        self._workload = workload
        self._device = device
        self._memory = ProcessMemory(limit_mib=memory_limit_mib)
        self._memory_limit_name = memory_limit_name
        self._oom_killer = OomKiller()
        self._kills_before = self._oom_killer.kills()
        self._on_evaluation = on_evaluation
        self._branches = BranchCache(limit_bytes=branch_memory())

    def start(self, *, timeout: float) -> Hello:
        """See `tuner.driver.runner.Runner.start`."""
        return Hello(pid=os.getpid(), device=self._device, workloads=(describe(self._workload),))

    def train(self, request: Train, *, supervisor: RunSupervisor) -> Ended:
        """See `tuner.driver.runner.Runner.train`."""
        self._memory.begin()
        self._kills_before = self._oom_killer.kills()

        def record(report: Report) -> None:
            supervisor.record(report)
            self._enforce_limits(supervisor)

        def evaluated(report: Evaluated) -> Directive:
            supervisor.forecast(report)
            record(report)
            self._on_evaluation()
            return supervisor.directive(refresh=False)

        return execute(
            request,
            workloads={self._workload.name: self._workload},
            device=self._device,
            on_evaluation=evaluated,
            on_snapshot=record,
            on_branch=record,
            on_update=record,
            branches=self._branches,
        )

    def shortage(self) -> MemoryUse | None:
        """See `tuner.driver.runner.Runner.shortage`: of a process that the run started; this one lives."""
        if not self._oom_killer.has_killed_since(self._kills_before):
            return None
        limit = self._oom_killer.limit_mib()
        return MemoryUse(peak_mib=self._memory.peak_mib, limit_mib=limit, limit="of this process's control group")

    def leftover_processes(self) -> list[str]:
        """See `tuner.driver.runner.Runner.leftover_processes`: what runs in this process belongs to its user."""
        return []

    def output(self, *, to_the_end: bool) -> str:
        """See `tuner.driver.runner.Runner.output`: what a run prints is seen where this process prints."""
        return ""

    def close(self) -> None:
        """See `tuner.driver.runner.Runner.close`: there is nothing to end."""

    def kill(self) -> bool:
        """See `tuner.driver.runner.Runner.kill`: there is nothing to end."""
        return True

    def _enforce_limits(self, supervisor: RunSupervisor) -> None:
        """End the run by an exception where it exceeds a limit.

        Raises:
            RunnerDied: It does.
        """
        if self._memory.limit_mib is not None and self._memory.is_over_limit(os.getpid()):
            use = MemoryUse(
                peak_mib=self._memory.peak_mib, limit_mib=self._memory.limit_mib, limit=self._memory_limit_name
            )
            reason = "out of memory: this process and what it started have more than they may"
            raise RunnerDied(f"the run was ended: {reason}", final=True, shortage=use)
        if overdue := supervisor.check():
            raise RunnerDied(f"the run was ended: {overdue.reason}", final=overdue.final)
