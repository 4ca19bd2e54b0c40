"""Whether a workload keeps the contract: `tuner.training.checks.check.check` tries it for a few updates."""
