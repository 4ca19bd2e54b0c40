"""Train a small convnet on handwritten digits with Keras, under any of its backends."""

import math

import keras
from sklearn.datasets import load_digits

steps, batch_size, seed = 300, 64, 42


def make_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10),
        ]
    )


def main():
    keras.utils.set_random_seed(seed)
    x, y = load_digits(return_X_y=True)
    x = x.reshape(-1, 8, 8, 1).astype("float32") / 16
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model = make_model()
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        x[:1200],
        y[:1200],
        batch_size=batch_size,
        epochs=math.ceil(steps / math.ceil(1200 / batch_size)),
        validation_data=(x[1200:], y[1200:]),
        verbose=2,
    )


if __name__ == "__main__":
    main()
