"""What a worker offers: `tuner worker --workload tuning:SmallSft` in this folder, or `python tuning.py` without one."""

from tuner import OpaqueWorkload, OptimizerKind, tune

from train import main


class SmallSft(OpaqueWorkload):
    name = "small-sft"
    version = "1"
    description = "Small Llama from a config, TRL's SFTTrainer on topics of the Python manual; cross entropy per token."
    default_steps = 100
    optimizer = OptimizerKind.ADAM

    def train(self, run, options):
        main(run)


if __name__ == "__main__":
    print(*tune(SmallSft()).summary, sep="\n")
