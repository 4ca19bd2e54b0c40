"""Train an MLP on handwritten digits with JAX and optax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits
from tuner.integrations.optax import learning_rate
from tuner.sdk import run as tuner_run

steps, batch_size, width, eval_every, seed = 300, 64, 64, 20, 0


def init(key):
    first, second = jax.random.split(key)
    return {
        "w1": jax.random.normal(first, (64, width)) / 8,
        "b1": jnp.zeros(width),
        "w2": jax.random.normal(second, (width, 10)) / jnp.sqrt(width),
        "b2": jnp.zeros(10),
    }


def loss_fn(params, x, y):
    hidden = jax.nn.relu(x @ params["w1"] + params["b1"])
    logits = hidden @ params["w2"] + params["b2"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def main(run):
    steps, seed = run.total_steps, run.seed
    x, y = load_digits(return_X_y=True)
    x, y = jnp.asarray(x / 16), jnp.asarray(y)
    schedule = learning_rate(run)
    optimizer = optax.adamw(schedule)
    params = init(jax.random.key(seed))
    state = optimizer.init(params)
    rng = np.random.default_rng(seed)
    evaluate = jax.jit(functools.partial(loss_fn, x=x[1200:], y=y[1200:]))

    @jax.jit
    def train_step(params, state, rows):
        loss, gradients = jax.value_and_grad(loss_fn)(params, x[rows], y[rows])
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    for step in range(1, steps + 1):
        params, state, loss = train_step(params, state, rng.integers(1200, size=batch_size))
        if step % eval_every == 0 or step == steps:
            val_loss = evaluate(params)
            run.report(step, value=val_loss, train_loss=loss)
            print(f"step {step}: train loss {loss:.4f}, validation loss {val_loss:.4f}")


if __name__ == "__main__":
    main(tuner_run(total_steps=steps))
