"""What a difference between two losses is worth in steps of training."""

from tuner.search.worth.loss_over_steps import LossOverSteps, Normal, StepsFactor

__all__ = ["LossOverSteps", "Normal", "StepsFactor"]
