"""Real text that needs no download: what SciPy's functions do, in a sentence, and the area that each belongs to."""

import functools
import importlib
import inspect
import random

AREAS = ("fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "sparse", "special", "stats")


@functools.cache
def load_sentences():
    """Pairs of a sentence and the number of its area: six of seven to train on, every seventh to evaluate on."""
    rows = {}
    for label, area in enumerate(AREAS):
        module = importlib.import_module(f"scipy.{area}")
        for name in sorted(vars(module)):
            described = getattr(module, name)
            if name.startswith("_") or not callable(described):
                continue
            paragraphs = [" ".join(part.split()) for part in (inspect.getdoc(described) or "").split("\n\n")]
            sentences = [part for part in paragraphs if part.endswith(".") and "(" not in part[:40]]
            if sentences:
                rows.setdefault(sentences[0], label)
    shuffled = sorted(rows.items())
    random.Random(0).shuffle(shuffled)
    return [row for index, row in enumerate(shuffled) if index % 7], shuffled[::7]
