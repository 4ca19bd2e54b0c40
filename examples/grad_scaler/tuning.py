"""What a worker offers: `tuner worker --workload tuning:ScaledDigits` here, or `python tuning.py` without one."""

from tuner import OpaqueWorkload, OptimizerKind, tune

from train import main


class ScaledDigits(OpaqueWorkload):
    name = "scaled-digits"
    version = "1"
    description = "Handwritten digits, an MLP in mixed precision; cross entropy of 597 held-out scans."
    default_steps = 300
    optimizer = OptimizerKind.ADAM

    def train(self, run, options):
        main(run)


if __name__ == "__main__":
    print(*tune(ScaledDigits()).summary, sep="\n")
