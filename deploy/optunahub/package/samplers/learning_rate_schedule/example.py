"""Finds the schedule for stochastic gradient descent on a noisy quadratic."""

import numpy as np
import optuna
import optunahub

module = optunahub.load_module(package="samplers/learning_rate_schedule")

STEPS = 200
CURVATURES = np.geomspace(0.01, 1.0, 20)


def objective(trial: optuna.Trial) -> float:
    """The loss at the end of a training with the schedule of the trial."""
    rng = np.random.default_rng(0)
    reports, weights = module.rungs(STEPS), np.ones(len(CURVATURES))
    for step, lr in enumerate(module.suggest_schedule(trial).lrs(STEPS), start=1):
        weights -= lr * (CURVATURES * weights + 0.3 * rng.standard_normal(len(weights)))
        if step in reports:
            trial.report(0.5 * float(CURVATURES @ weights**2), step)
            if trial.should_prune():
                raise optuna.TrialPruned
    return 0.5 * float(CURVATURES @ weights**2)


study = optuna.create_study(
    sampler=module.ScheduleSampler("sgd", total_steps=STEPS), pruner=module.ForecastPruner(STEPS)
)
study.optimize(objective, n_trials=15)
print(study.best_value, study.best_trial.user_attrs["label"])
