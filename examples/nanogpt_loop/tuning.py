"""What a worker offers: `tuner worker --workload tuning:NanoGpt` in this folder, or `python tuning.py` without one."""

import tuner
from tuner.search.space import OptimizerKind
from tuner.training.workload import OpaqueWorkload

from train import main


class NanoGpt(OpaqueWorkload):
    name = "nanogpt"
    version = "1"
    description = "Small GPT on the Python reference manual; cross entropy in nats per character on held-out text."
    default_steps = 400
    optimizer = OptimizerKind.ADAM

    def train(self, run, options):
        main(run)


if __name__ == "__main__":
    print(*tuner.tune(NanoGpt()).summary, sep="\n")
