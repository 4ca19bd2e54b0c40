"""Options of the commands that submit or change a job."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import typer

from tuner.cli import completion
from tuner.cli.options import limit_option
from tuner.jobs.priority import Priority
from tuner.search.kinds import SpacePreset, TrainingKind

TRAINING: Final = "Training"
SPACE: Final = "Search space"
COST: Final = "Budget and limits"
START: Final = "Start from"
JOB: Final = "The job"
DEVICES: Final = "Devices"
ACTION: Final = "What to do"
_TRIALS: Final = "Most schedules to try."
_DEVICE_HOURS: Final = "Stop at this device time, summed over all runs."
_WALL_HOURS: Final = "Stop this long after the start."
_TARGET: Final = "Try no more schedules once one reaches this value at the horizon."
_PATIENCE: Final = "Try no more schedules after this many without a new best."
SamplerChoice = Literal["schedule", "tpe", "gp", "cmaes", "random", "qmc"]
PrunerChoice = Literal["forecast", "median", "percentile", "sha", "hyperband"]
_BUDGETED: Final = "what the budget pays for"


def _limit(name: str, *, unit: str, help: str, default: str = "none") -> Any:
    return limit_option(name, unit=unit, default=default, panel=COST, help=help)


def _new_limit(name: str, *, unit: str, help: str) -> Any:
    """A limit that stays as it is where the option is left out."""
    return _limit(name, unit=unit, default="", help=help)


Workload = Annotated[
    str,
    typer.Argument(
        metavar="WORKLOAD",
        autocompletion=completion.workloads,
        show_default=False,
        help="As `tuner workloads` lists them.",
    ),
]
Option = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="NAME=VALUE",
        autocompletion=completion.options,
        show_default=False,
        rich_help_panel=TRAINING,
        help="An option of the workload. Repeatable.",
    ),
]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        metavar="NAME=RANGE",
        autocompletion=completion.options,
        show_default=False,
        rich_help_panel=SPACE,
        help="Search this option of the workload, too: LOW..HIGH, LOW..HIGH:log, or ONE,OTHER. Repeatable.",
    ),
]
TotalSteps = Annotated[
    int | None,
    typer.Option(
        "--total-steps",
        metavar="UPDATES",
        show_default="the workload's own",
        rich_help_panel=TRAINING,
        help="Length of a full training run.",
    ),
]
RangeTestFirst = Annotated[
    bool,
    typer.Option(
        "--range-test",
        rich_help_panel=SPACE,
        help="Run an LR range test first: no peak above its last stable rate is searched.",
    ),
]
PeakLr = Annotated[
    str,
    typer.Option(
        "--peak-lr",
        metavar="LOW..HIGH",
        show_default="the workload's own range",
        rich_help_panel=SPACE,
        help="Peak learning rates to search: 1e-5..1e-3, 1e-5.., ..1e-3, or one rate.",
    ),
]
Space = Annotated[
    SpacePreset | None,
    typer.Option(
        "--space",
        show_default="usual",
        rich_help_panel=SPACE,
        help="What to search by name; the options below replace parts of it.",
    ),
]
Training = Annotated[
    TrainingKind | None,
    typer.Option(
        "--training",
        show_default="the workload's own",
        rich_help_panel=SPACE,
        help="The kind of training, for the usual peaks: from scratch, of a large model, full fine-tuning, or LoRA.",
    ),
]
StepsPerEpoch = Annotated[
    int | None,
    typer.Option(
        "--steps-per-epoch",
        metavar="UPDATES",
        min=1,
        show_default="each length has its own",
        rich_help_panel=TRAINING,
        help="Updates in one epoch, for all that is in epochs: warm-ups, periods, milestones, the incumbent.",
    ),
]
Family = Annotated[
    list[str] | None,
    typer.Option(
        "--family",
        metavar="NAME [PARAM=VALUE ...]",
        show_default="those of the space",
        autocompletion=completion.families,
        rich_help_panel=SPACE,
        help="A schedule family to search: cosine, wsd, ...; with parameters that are fixed, or varied in a range: "
        "'step every=5..30epochs gamma=0.1'. Repeatable.",
    ),
]
Warmup = Annotated[
    str,
    typer.Option(
        "--warmup",
        metavar="LENGTHS",
        show_default="0,1%,2%,5%,10%",
        rich_help_panel=SPACE,
        help="Warm-up lengths to search, as parts of the run, updates or epochs: 0,5%,500,3epochs.",
    ),
]
WarmupShape = Annotated[
    str,
    typer.Option(
        "--warmup-shape",
        metavar="SHAPES",
        show_default="linear",
        rich_help_panel=SPACE,
        help="Warm-up shapes to search: linear, cosine, exponential, constant; with the start: exponential:0.01.",
    ),
]
Floor = Annotated[
    str,
    typer.Option(
        "--floor",
        metavar="SHARES",
        show_default="0,1%,10%",
        rich_help_panel=SPACE,
        help="Where a decay may end, as parts of the peak: 0,0.1.",
    ),
]
Incumbent = Annotated[
    str,
    typer.Option(
        "--incumbent",
        metavar="SCHEDULE",
        show_default="cosine to zero with warm-up",
        rich_help_panel=START,
        help="The schedule that is used today: a JSON file, a finished job, or as in cosine,peak-lr=3e-4,warmup=5%. "
        "Nothing worse is recommended.",
    ),
]
IncumbentFrom = Annotated[
    str,
    typer.Option(
        "--incumbent-from",
        metavar="FILE|-",
        show_default="--incumbent",
        rich_help_panel=START,
        help="The schedule that is used today, as a script has it: JSON or YAML of TrainingArguments, of a PyTorch "
        "scheduler's state_dict(), of timm or of axolotl.",
    ),
]
Origin = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="JOB",
        autocompletion=completion.jobs,
        show_default=False,
        rich_help_panel=START,
        help="Warm start from a completed job: its workload, options and space, its best schedules first.",
    ),
]


class Against(StrEnum):
    """What a follow-up compares the former job's recommendation with."""

    NO_WARMUP = "no-warmup"
    """The same schedule without its warm-up: do you need one?"""
    CONSTANT = "constant"
    """A constant rate without warm-up at the same peak: does a schedule help at all?"""


AgainstWhat = Annotated[
    Against | None,
    typer.Option(
        "--against",
        show_default="none",
        rich_help_panel=START,
        help="With --from: compare its recommendation with the same schedule without warm-up, or with a constant rate.",
    ),
]
Spec = Annotated[
    str,
    typer.Option(
        "--spec",
        metavar="FILE|-",
        show_default=False,
        rich_help_panel=START,
        help="The job as a JSON document (docs/api.md); other options override its fields.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="RUNS|NAME",
        show_default="standard",
        rich_help_panel=COST,
        help="What the job may cost, in full runs, from 1: a number, or quick (3), standard (10), thorough (30).",
    ),
]
NewBudget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="RUNS|NAME",
        show_default=False,
        rich_help_panel=COST,
        help="What the job may cost, in full runs: a number, or quick (3), standard (10), thorough (30).",
    ),
]
Worth = Annotated[
    str | None,
    typer.Option(
        "--worth",
        metavar="SHARE",
        show_default="5%",
        rich_help_panel=COST,
        help="The gain from which a change of schedule is worth it, in training updates.",
    ),
]
LeastGain = Annotated[
    float | None,
    typer.Option(
        "--least-gain",
        metavar="VALUE",
        show_default="any",
        rich_help_panel=COST,
        help="A gain below this is not worth a change either, in the metric: 0.2 points of accuracy.",
    ),
]
Trials = Annotated[str | None, _limit("--trials", unit="TRIALS", default=_BUDGETED, help=_TRIALS)]
NewTrials = Annotated[str | None, _new_limit("--trials", unit="TRIALS", help=_TRIALS)]
Seeds = Annotated[
    int | None,
    typer.Option(
        "--seeds", metavar="NUMBER", show_default="10", rich_help_panel=COST, help="Most seeds of one schedule."
    ),
]
NoPrune = Annotated[
    bool,
    typer.Option("--no-prune", rich_help_panel=COST, help="Train every run to its end."),
]
Sampler = Annotated[
    SamplerChoice | None,
    typer.Option(
        "--sampler",
        show_default="schedule",
        rich_help_panel=SPACE,
        help="What chooses the next new schedule: the tuner's model, or one of Optuna's samplers.",
    ),
]
Pruner = Annotated[
    PrunerChoice | None,
    typer.Option(
        "--pruner",
        show_default="forecast",
        rich_help_panel=COST,
        help="What stops a run: the forecast of its end, or one of Optuna's rules on the loss so far, which also stop "
        "schedules that win in the end.",
    ),
]
DeviceHours = Annotated[str | None, _limit("--device-hours", unit="HOURS", help=_DEVICE_HOURS)]
NewDeviceHours = Annotated[str | None, _new_limit("--device-hours", unit="HOURS", help=_DEVICE_HOURS)]
WallHours = Annotated[str | None, _limit("--wall-hours", unit="HOURS", help=_WALL_HOURS)]
NewWallHours = Annotated[str | None, _new_limit("--wall-hours", unit="HOURS", help=_WALL_HOURS)]
Target = Annotated[str | None, _limit("--target", unit="VALUE", help=_TARGET)]
NewTarget = Annotated[str | None, _new_limit("--target", unit="VALUE", help=_TARGET)]
Patience = Annotated[str | None, _limit("--patience", unit="TRIALS", help=_PATIENCE)]
NewPatience = Annotated[str | None, _new_limit("--patience", unit="TRIALS", help=_PATIENCE)]
Seed = Annotated[
    int | None,
    typer.Option("--seed", show_default="a new one", rich_help_panel=JOB, help="Seed of the search and of its runs."),
]
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="TEXT", show_default=False, rich_help_panel=JOB, help="A name for the job."),
]
Notes = Annotated[
    str | None,
    typer.Option(
        "--notes", metavar="TEXT", show_default=False, rich_help_panel=JOB, help="Anything worth remembering; Markdown."
    ),
]
Team = Annotated[
    str | None,
    typer.Option(
        "--team",
        metavar="TEAM",
        autocompletion=completion.teams,
        show_default="yours",
        rich_help_panel=JOB,
        help="The team it belongs to.",
    ),
]
Shared = Annotated[
    bool | None,
    typer.Option(
        "--shared/--not-shared", show_default=False, rich_help_panel=JOB, help="Whether all teams may see the job."
    ),
]
PriorityClass = Annotated[
    Priority | None,
    typer.Option("--priority", show_default="normal", rich_help_panel=JOB, help="A higher class is scheduled first."),
]
NewPriority = Annotated[
    Priority | None,
    typer.Option("--priority", show_default=False, rich_help_panel=JOB, help="A higher class is scheduled first."),
]
Longer = Annotated[
    float | None,
    typer.Option(
        "--longer",
        metavar="TIMES",
        show_default="3",
        rich_help_panel=JOB,
        help="Let the report predict for a run this many times as long.",
    ),
]
Device = Annotated[
    Literal["any", "cpu", "cuda"] | None,
    typer.Option("--device", show_default="any", rich_help_panel=DEVICES, help="Kind of device to train on."),
]
Devices = Annotated[
    int | None,
    typer.Option(
        "--devices", metavar="NUMBER", show_default="1", rich_help_panel=DEVICES, help="Devices that each run needs."
    ),
]
MemoryGib = Annotated[
    float | None,
    typer.Option(
        "--memory-gib",
        metavar="GIB",
        show_default="any",
        rich_help_panel=DEVICES,
        help="Memory that each device must have.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        rich_help_panel=ACTION,
        help="Submit nothing; show the most it can cost, or why it would be refused.",
    ),
]
Watch = Annotated[
    bool,
    typer.Option("--watch", "-w", rich_help_panel=ACTION, help="Follow the job to its end, like `tuner watch`."),
]
