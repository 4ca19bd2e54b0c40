"""What following a job prints where it cannot redraw."""

from dataclasses import replace

from tests.unit.cli.jobs.test_live import BEST, job
from tuner.cli.jobs.watch import _LinePrinter
from tuner.jobs.states import JobState


def test_the_last_line_of_progress_is_that_of_the_finished_job(capsys):
    printer, running, completed = _LinePrinter(), job(), job(state=JobState.COMPLETED)
    for share in (0.5, 0.96, 1.0):  # the last run may end after the last of its updates was reported
        printer.show(replace(running, progress=replace(running.progress, fraction=share)), events=[], notice="")
    final = replace(BEST, trial=9, value=0.1)
    ended = replace(completed, progress=replace(completed.progress, fraction=1.0, best=final))
    for _ in range(3):
        printer.show(ended, events=[], notice="")
    lines = capsys.readouterr().out.splitlines()
    assert "recommended validation loss 0.1000" in lines[-1]
    assert "trial 9" in lines[-1]
    assert [line[:4] for line in lines] == [" 50%", " 96%", "100%"]
