"""What a worker offers: `tuner worker --workload tuning:NanoGpt` in this folder, or `python tuning.py` without one."""

from tuner import OpaqueWorkload, OptimizerKind, tune

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
    print(*tune(NanoGpt()).summary, sep="\n")
