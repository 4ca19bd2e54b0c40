"""What a worker offers: `tuner worker --workload tuning:LightningDigits` here, or `python tuning.py` without one."""

from tuner import OpaqueWorkload, OptimizerKind, tune

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
    print(*tune(LightningDigits()).summary, sep="\n")
