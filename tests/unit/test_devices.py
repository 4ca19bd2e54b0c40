from __future__ import annotations

import pytest

from tuner.devices import choose_device, find_devices, training_devices
from tuner.errors import InvalidValue


def names(environment: dict[str, str], *, count: int) -> list[str]:
    return [device.name for device in find_devices(environment, count=lambda: count)]


@pytest.mark.parametrize(
    ("visible", "count", "expected"),
    [
        (None, 0, ["cpu"]),
        (None, 2, ["cuda:0", "cuda:1", "cpu"]),
        ("", 2, ["cpu"]),
        ("-1", 2, ["cpu"]),
        ("1", 2, ["cuda:0", "cpu"]),
        ("1,0", 2, ["cuda:0", "cuda:1", "cpu"]),
        ("0,7,1", 2, ["cuda:0", "cpu"]),
        ("GPU-8f5", 2, ["cuda:0", "cpu"]),
        ("0", 0, ["cpu"]),
    ],
)
def test_the_devices_are_those_that_cuda_would_show(visible, count, expected):
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert names(environment, count=count) == expected


def test_auto_takes_the_first_cuda_device_and_else_the_cpu():
    assert choose_device("auto", environment={}, count=lambda: 2).name == "cuda:0"
    assert choose_device("auto", environment={}, count=lambda: 0).name == "cpu"
    assert choose_device("cuda", environment={}, count=lambda: 2).name == "cuda:0"


def test_a_runner_sees_no_other_device_than_its_own():
    second = choose_device("cuda:1", environment={}, count=lambda: 2)
    assert second.torch_name == "cuda:0"
    assert second.environment == {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

    chosen = choose_device("cuda:1", environment={"CUDA_VISIBLE_DEVICES": "3,GPU-8f5"}, count=lambda: 4)
    assert chosen.environment == {"CUDA_VISIBLE_DEVICES": "GPU-8f5"}

    assert choose_device("cpu", environment={}, count=lambda: 2).environment == {"CUDA_VISIBLE_DEVICES": ""}


@pytest.mark.parametrize("wanted", ["cuda:2", "gpu", "", "mps"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(wanted):
    with pytest.raises(InvalidValue, match=r"device must be auto or one of .*cuda:0, cuda:1, cpu"):
        choose_device(wanted, environment={}, count=lambda: 2)


def test_a_machine_without_a_driver_has_the_cpu():
    assert choose_device("cpu", environment={}).name == "cpu"


def test_every_cuda_device_deserves_a_worker_and_the_cpu_only_where_there_is_none():
    assert training_devices({}, count=lambda: 2) == ("cuda:0", "cuda:1")
    assert training_devices({"CUDA_VISIBLE_DEVICES": "1"}, count=lambda: 2) == ("cuda:0",)
    assert training_devices({}, count=lambda: 0) == ("cpu",)
