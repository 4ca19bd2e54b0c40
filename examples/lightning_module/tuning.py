"""What a worker offers: `tuner worker --workload tuning:LightningDigits` here, or `python tuning.py` without one."""

import tuner
from tuner.search.space import OptimizerKind
from tuner.training.workload import OpaqueWorkload

from train import main


class LightningDigits(OpaqueWorkload):
    name = "lightning-digits"
    version = "1"
    description = "Handwritten digits, an MLP trained with Lightning; cross entropy of 597 held-out scans."
    default_steps = 300
    optimizer = OptimizerKind.ADAM

    def train(self, run, options):
        main(run)


if __name__ == "__main__":
    print(*tuner.tune(LightningDigits()).summary, sep="\n")
