from __future__ import annotations

import os
from types import SimpleNamespace

import pynvml
import pytest

from tuner.devices import NVIDIA, Card, DeviceKind, Memory, choose_device, find_devices, memory_of, training_devices
from tuner.errors import InvalidValue

GIB = 1024**3


class Cards:
    """A driver of a machine with so many cards, each with a GiB more than the one before."""

    def __init__(self, count: int, *, model: str = "Grace", tells_memory: bool = True) -> None:
        self._count = count
        self._model = model
        self._tells_memory = tells_memory

    def count(self) -> int:
        return self._count

    def card(self, identifier: str) -> Card | None:
        if not identifier.isdigit():
            return None
        total = GIB * (1 + int(identifier))
        memory = Memory(total_bytes=total, used_bytes=total // 4) if self._tells_memory else None
        return Card(model=f"{self._model} {int(identifier) // 2}", memory=memory)


def names(environment: dict[str, str], *, count: int) -> list[str]:
    return [device.name for device in find_devices(environment, driver=Cards(count))]


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
    assert choose_device("auto", environment={}, driver=Cards(2)).name == "cuda:0"
    assert choose_device("auto", environment={}, driver=Cards(0)).name == "cpu"
    assert choose_device("cuda", environment={}, driver=Cards(2)).name == "cuda:0"


def test_a_runner_sees_no_other_device_than_its_own():
    second = choose_device("cuda:1", environment={}, driver=Cards(2))
    assert second.torch_name == "cuda:0"
    assert second.environment == {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

    chosen = choose_device("cuda:1", environment={"CUDA_VISIBLE_DEVICES": "3,GPU-8f5"}, driver=Cards(4))
    assert chosen.environment == {"CUDA_VISIBLE_DEVICES": "GPU-8f5"}

    assert choose_device("cpu", environment={}, driver=Cards(2)).environment == {"CUDA_VISIBLE_DEVICES": ""}


def test_a_device_tells_its_model_and_memory_as_the_driver_does():
    device = choose_device("cuda:0", environment={"CUDA_VISIBLE_DEVICES": "2"}, driver=Cards(4))
    assert (device.kind, device.model, device.count, device.memory_bytes) == (DeviceKind.CUDA, "Grace 1", 1, 3 * GIB)

    silent = choose_device("cuda:0", environment={}, driver=Cards(1, tells_memory=False))
    assert silent.memory_bytes is None

    unknown = choose_device("cuda:0", environment={"CUDA_VISIBLE_DEVICES": "MIG-1"}, driver=Cards(1))
    assert (unknown.model, unknown.memory_bytes) == ("cuda", None)


def test_the_cpu_has_the_memory_of_the_machine():
    cpu = choose_device("cpu", environment={}, driver=Cards(0))
    assert (cpu.kind, cpu.model, cpu.count) == (DeviceKind.CPU, "cpu", 1)
    assert cpu.memory_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_several_devices_are_one_device_with_the_least_of_their_memories():
    pair = choose_device("cuda:1, cuda:0", environment={}, driver=Cards(2))
    assert (pair.name, pair.torch_name, pair.count) == ("cuda:1,cuda:0", "cuda:0", 2)
    assert (pair.model, pair.memory_bytes) == ("Grace 0", GIB)
    assert pair.environment == {"CUDA_VISIBLE_DEVICES": "1,0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

    mixed = choose_device("cuda:0,cuda:1", environment={"CUDA_VISIBLE_DEVICES": "0,3"}, driver=Cards(4))
    assert (mixed.model, mixed.memory_bytes) == ("Grace 0 + Grace 1", GIB)
    assert mixed.environment == {"CUDA_VISIBLE_DEVICES": "0,3"}

    half_known = choose_device("cuda:0,cuda:1", environment={"CUDA_VISIBLE_DEVICES": "0,MIG-1"}, driver=Cards(2))
    assert half_known.memory_bytes is None


@pytest.mark.parametrize("wanted", ["cuda:2", "gpu", "", "mps", "cuda:0,cuda:2", "cuda:0,"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(wanted):
    with pytest.raises(InvalidValue, match=r"device must be auto or one of .*cuda:0, cuda:1, cpu"):
        choose_device(wanted, environment={}, driver=Cards(2))


@pytest.mark.parametrize("wanted", ["cuda:0,cuda:0", "cuda,cuda:0", "cuda:0,cpu"])
def test_several_devices_are_different_cuda_devices(wanted):
    with pytest.raises(InvalidValue, match=r"device must be different CUDA devices where it names several"):
        choose_device(wanted, environment={}, driver=Cards(2))


def test_the_memory_in_use_is_told_for_each_device():
    pair = choose_device("cuda:0,cuda:1", environment={}, driver=Cards(2))
    assert memory_of(pair, driver=Cards(2)) == (
        Memory(total_bytes=GIB, used_bytes=GIB // 4),
        Memory(total_bytes=2 * GIB, used_bytes=GIB // 2),
    )
    assert memory_of(pair, driver=Cards(2, tells_memory=False)) == (None, None)

    (machine,) = memory_of(choose_device("cpu", environment={}, driver=Cards(0)))
    assert machine is not None
    assert 0 < machine.used_bytes <= machine.total_bytes


def test_a_machine_without_a_driver_has_the_cpu():
    assert choose_device("cpu", environment={}).name == "cpu"


def test_every_cuda_device_deserves_a_worker_and_the_cpu_only_where_there_is_none():
    assert training_devices({}, driver=Cards(2)) == ("cuda:0", "cuda:1")
    assert training_devices({"CUDA_VISIBLE_DEVICES": "1"}, driver=Cards(2)) == ("cuda:0",)
    assert training_devices({}, driver=Cards(0)) == ("cpu",)


@pytest.fixture
def nvml(monkeypatch):
    """The management library of a machine with two cards, one of them sliced: no machine of ours has any."""
    cards = {"GPU-aa": ("H100", 80), "GPU-bb": ("GB10", None), "MIG-bb-0": ("H100 MIG 1g.10gb", 10)}

    def by_uuid(uuid: str) -> str:
        if uuid not in cards:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return uuid

    def memory(handle: str) -> SimpleNamespace:
        gib = cards[handle][1]
        if gib is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(total=gib * GIB, used=GIB)

    answers = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: ("GPU-aa", "GPU-bb")[index],
        "nvmlDeviceGetHandleByUUID": by_uuid,
        "nvmlDeviceGetUUID": lambda handle: handle,
        "nvmlDeviceGetName": lambda handle: cards[handle][0],
        "nvmlDeviceGetMemoryInfo": memory,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)


@pytest.mark.parametrize(
    ("identifier", "model", "gib"),
    [
        ("0", "H100", 80),
        ("GPU-aa", "H100", 80),
        ("GPU-a", "H100", 80),
        ("1", "GB10", None),
        ("MIG-bb-0", "H100 MIG 1g.10gb", 10),
    ],
)
def test_nvidias_driver_knows_a_card_by_index_and_by_uuid(nvml, identifier, model, gib):
    assert NVIDIA.count() == 2
    memory = None if gib is None else Memory(total_bytes=gib * GIB, used_bytes=GIB)
    assert NVIDIA.card(identifier) == Card(model=model, memory=memory)


def test_nvidias_driver_does_not_know_a_card_that_is_not_there(nvml):
    assert NVIDIA.card("GPU-zz") is None
