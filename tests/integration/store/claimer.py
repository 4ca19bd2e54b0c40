"""A process that claims and finishes runs until there are none, and prints which: ``python -m ... URL NAME``."""

from __future__ import annotations

import sys

from tests.integration.store.builders import STEPS, claim_run, offer
from tuner.store import Store


def main(url: str, name: str) -> None:
    store = Store(url)
    print("ready", flush=True)
    sys.stdin.readline()
    while lease := claim_run(store, offer(name)):
        store.leases.finish(lease, loss=0.5, step=STEPS, updates=STEPS)
        print(lease.run_id, flush=True)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
