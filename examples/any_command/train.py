"""Train a bigram model of the Python reference manual with numpy alone: any program can be tuned like this.

What to do is in the environment: a CSV with the learning rate of every update, the seed, and where to report.
"""

import argparse
import csv
import json
import os
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--batch-size", type=int, default=256)
batch_size = parser.parse_args().batch_size

with Path(os.environ["TUNER_LRS_FILE"]).open() as file:
    lrs = [float(row["lr"]) for row in csv.DictReader(file)]
rng = np.random.default_rng(int(os.environ["TUNER_SEED"]))

text = "".join(topics[key] for key in sorted(topics))
characters, codes = np.unique(np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8), return_inverse=True)
pairs = np.stack([codes[:-1], codes[1:]], axis=1)
train, validation = pairs[: -len(pairs) // 10], pairs[-len(pairs) // 10 :][::50]
logits = np.zeros((len(characters), len(characters)))  # of the next character, by the present one


def log_probabilities(present):
    rows = logits[present]
    rows = rows - rows.max(axis=1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))


def loss(some):
    return -log_probabilities(some[:, 0])[np.arange(len(some)), some[:, 1]].mean()


for update, lr in enumerate(lrs, start=1):
    batch = train[rng.integers(len(train), size=batch_size)]
    gradient = np.exp(log_probabilities(batch[:, 0]))
    gradient[np.arange(batch_size), batch[:, 1]] -= 1.0
    np.add.at(logits, batch[:, 0], -lr * gradient / batch_size)
    if update % 10 == 0 or update == len(lrs):
        report = {"step": update, "value": float(loss(validation)), "train_loss": float(loss(batch))}
        with Path(os.environ["TUNER_REPORTS"]).open("a") as file:
            file.write(json.dumps(report) + "\n")
