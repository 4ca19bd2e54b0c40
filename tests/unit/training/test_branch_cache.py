"""The cache of branch states: what it holds, finds and drops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tuner.errors import InvalidValue
from tuner.training.branches import MEMORY_VARIABLE, BranchCache, branch_memory


class TestCache:
    LRS = np.linspace(0.1, 0.2, 50)

    @staticmethod
    def content(kib: int = 1, *, value: float = 0.0) -> dict[str, Any]:
        return {"weights": torch.full((kib * 256,), value)}

    def test_it_never_keeps_more_than_its_bound_and_gives_up_what_was_used_longest_ago(self):
        cache = BranchCache(limit_bytes=3 * 1024 + 100)
        for step in (1, 2, 3):
            cache.put(self.LRS, step=step, content=self.content())
        assert cache.deepest(self.LRS[:1], beyond=0).step == 1  # used just now
        cache.put(self.LRS, step=4, content=self.content())
        assert cache.stored_bytes <= 3 * 1024 + 100
        assert [cache.deepest(self.LRS[:length], beyond=0).step for length in (1, 2, 3, 4)] == [1, 1, 3, 4]

    def test_a_state_that_is_too_big_is_not_kept_and_drives_nothing_out(self):
        cache = BranchCache(limit_bytes=4 * 1024)
        cache.put(self.LRS, step=1, content=self.content())
        cache.put(self.LRS, step=2, content=self.content(5))
        assert cache.deepest(self.LRS, beyond=0).step == 1

    def test_what_is_stored_and_what_is_returned_are_copies(self):
        cache = BranchCache(limit_bytes=2**20)
        given = self.content(value=1.0)
        cache.put(self.LRS, step=1, content=given)
        given["weights"].fill_(2.0)
        cache.deepest(self.LRS, beyond=0).content["weights"].fill_(3.0)
        assert cache.deepest(self.LRS, beyond=0).content["weights"].unique().tolist() == [1.0]

    def test_a_modules_state_keeps_the_versions_of_its_parts(self):
        cache = BranchCache(limit_bytes=2**20)
        state = torch.nn.BatchNorm1d(2).state_dict()
        cache.put(self.LRS, step=1, content={"model": state})
        assert cache.deepest(self.LRS, beyond=0).content["model"]._metadata == state._metadata  # type: ignore[attr-defined]

    def test_only_the_very_same_rates_find_a_state(self):
        cache = BranchCache(limit_bytes=2**20)
        cache.put(self.LRS, step=20, content=self.content())
        other = self.LRS.copy()
        other[19] = np.nextafter(other[19], 1.0)
        assert cache.deepest(other, beyond=0) is None
        assert cache.deepest(self.LRS[:19], beyond=0) is None
        assert cache.deepest(self.LRS, beyond=20) is None
        assert cache.deepest(self.LRS, beyond=19).step == 20

    def test_nothing_is_stored_at_a_bound_of_0(self):
        cache = BranchCache(limit_bytes=0)
        cache.put(self.LRS, step=1, content=self.content())
        assert (len(cache), cache.is_open) == (0, False)

    def test_a_state_that_no_snapshot_could_hold_is_left_out(self, caplog):
        cache = BranchCache(limit_bytes=2**20)
        cache.put(self.LRS, step=1, content={"training": {"odd": object()}})
        assert len(cache) == 0
        assert "a state is not stored" in caplog.text


@pytest.mark.parametrize(
    ("given", "size"), [({}, 2**30), ({MEMORY_VARIABLE: "5"}, 5 * 2**20), ({MEMORY_VARIABLE: "0"}, 0)]
)
def test_the_environment_says_how_much_is_stored(given, size):
    assert branch_memory(given) == size


def test_a_bad_memory_is_refused():
    with pytest.raises(InvalidValue, match="at least 0"):
        branch_memory({MEMORY_VARIABLE: "-1"})
