"""What a worker offers: `tuner worker --workload tuning:MiniLm --workload tuning:MiniLmLora` in this folder.

`python tuning.py` tunes both in this process, each against the rates that are usual today: minutes on one core.
"""

import sys

from transformers.utils import logging
from tuner import OpaqueWorkload, OptimizerKind, Schedule, TrainingKind, Warmup, tune
from tuner.schedules import Linear

from train import main


class MiniLm(OpaqueWorkload):
    name = "minilm-finetune"
    version = "1"
    description = "All of MiniLM, to name the area of SciPy that a sentence describes; cross entropy of held-out ones."
    default_steps = 60  # an epoch
    optimizer = OptimizerKind.ADAM
    training_kind = TrainingKind.FINETUNE
    lora = False

    def train(self, run, options):
        main(run, self.lora)


class MiniLmLora(MiniLm):
    name = "minilm-lora"
    description = "MiniLM by LoRA of rank 8, to name the area of SciPy that a sentence describes; cross entropy."
    training_kind = TrainingKind.LORA
    lora = True


def linear(peak_lr):
    """Linear warm-up and decay, as the Trainer's default and a tenth of warm-up have it."""
    return Schedule(peak_lr=peak_lr, family=Linear(), warmup=Warmup(shape="linear", fraction=0.1))


if __name__ == "__main__":
    logging.set_verbosity_error()
    for workload, peak_lr in ((MiniLm(), 2e-5), (MiniLmLora(), 2e-4)):
        if sys.argv[1:] in ([], [workload.name]):  # `python tuning.py minilm-lora` tunes this one alone
            database = f"{workload.name}.db"  # a second call goes on where the first one was stopped
            search = {"seed": 1}
            report = tune(workload, budget=6, incumbent=linear(peak_lr), search=search, database=database, device="cpu")
            print(report)
            report.plot("curves").savefig(f"{workload.name}.png", dpi=110)
