"""Names of optimizers, kinds of training and spaces; cheap to import."""

from __future__ import annotations

from enum import StrEnum


class OptimizerKind(StrEnum):
    """Kinds of optimizers, by the range of their peak learning rates.

    Example:
        >>> from tuner import OptimizerKind
        >>> [kind.value for kind in OptimizerKind]
        ['sgd', 'adam']
    """

    SGD = "sgd"
    """Stochastic gradient descent, with or without momentum."""
    ADAM = "adam"
    """Adam, AdamW and similar."""


class TrainingKind(StrEnum):
    """Kinds of training, by the range of their peak learning rates (docs/search.md has the sources).

    Example:
        >>> from tuner import OptimizerKind, TrainingKind, default_space
        >>> peaks = default_space(OptimizerKind.ADAM, training=TrainingKind.FINETUNE).peak_lr
        >>> peaks.low, peaks.high
        (2e-06, 0.0002)
    """

    SCRATCH = "scratch"
    """From a random start."""
    PRETRAIN = "pretrain"
    """A large model, as a language model, from a random start."""
    FINETUNE = "finetune"
    """All weights of a pre-trained model."""
    LORA = "lora"
    """Low-rank adapters of a pre-trained model: about ten times the rates of full fine-tuning."""


class SpacePreset(StrEnum):
    """Spaces by name.

    Example:
        >>> from tuner import SpacePreset, default_space
        >>> default_space("adam", preset=SpacePreset.FINETUNE).keys
        ('constant', 'linear', 'cosine', 'polynomial', 'wsd')
    """

    USUAL = "usual"
    """Few dimensions, strong families: the default."""
    WIDE = "wide"
    """Every family of the field: cycles, restarts, steps, power laws, reduction on a plateau."""
    FINETUNE = "finetune"
    """What fine-tuning uses: decays to zero after a short warm-up, low peaks."""
    PRETRAIN = "pretrain"
    """What large models are trained with: a warm-up always, decays to zero or to a tenth, cooldowns of any length."""
