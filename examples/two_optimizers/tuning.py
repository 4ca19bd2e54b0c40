"""What a worker offers: `tuner worker --workload tuning:MuonDigits` here, or `python tuning.py` without one."""

from tuner import OpaqueWorkload, OptimizerKind, tune

from train import main


class MuonDigits(OpaqueWorkload):
    name = "muon-digits"
    version = "1"
    description = "Handwritten digits, an MLP trained with Muon and AdamW; cross entropy of 597 held-out scans."
    default_steps = 300
    optimizer = OptimizerKind.ADAM
    peak_lr = {OptimizerKind.ADAM: (1e-3, 0.3)}  # of Muon, the first optimizer; AdamW keeps its ratio to it

    def train(self, run, options):
        main(run)


if __name__ == "__main__":
    print(*tune(MuonDigits()).summary, sep="\n")
