from __future__ import annotations

from pathlib import Path

import pytest

from tuner.driver.oom_killer import OomKiller

VMSTAT = "nr_free_pages 1\noom_kill 7\n"


def machine(root: Path, files: dict[str, str]) -> OomKiller:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return OomKiller(root)


@pytest.mark.parametrize(
    ("files", "kills", "limit"),
    [
        (
            {
                "proc/self/cgroup": "0::/system.slice/worker.service\n",
                "sys/fs/cgroup/system.slice/worker.service/memory.events": "low 0\noom 2\noom_kill 1\n",
                "sys/fs/cgroup/system.slice/worker.service/memory.max": "4294967296\n",
                "proc/vmstat": VMSTAT,
            },
            1,
            4096,
        ),
        (  # a container that sees its own group as the root
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.events": "oom_kill 3\n",
                "sys/fs/cgroup/memory.max": "max\n",
            },
            3,
            None,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n",
                "sys/fs/cgroup/memory/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
            },
            2,
            None,
        ),
        ({"proc/self/cgroup": "0::/\n", "proc/vmstat": VMSTAT}, 7, None),
        ({}, None, None),
    ],
)
def test_the_kernels_count_is_read_where_it_is(tmp_path, files, kills, limit):
    killer = machine(tmp_path, files)
    assert (killer.kills(), killer.limit_mib()) == (kills, limit)
