"""What a worker offers: `tuner worker --workload tuning:HfLlama` in this folder, or `python tuning.py` without one."""

from tuner import OpaqueWorkload, OptimizerKind, tune

from train import main


class HfLlama(OpaqueWorkload):
    name = "hf-llama"
    version = "1"
    description = "Small Llama on the Python reference manual; cross entropy in nats per character on held-out text."
    default_steps = 300
    optimizer = OptimizerKind.ADAM

    def train(self, run, options):
        main(run)


if __name__ == "__main__":
    print(*tune(HfLlama()).summary, sep="\n")
