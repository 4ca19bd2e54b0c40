"""What this machine can train on, detected without torch: CUDA devices, as their driver reports them, and the CPU."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from tuner.errors import InvalidValue

_VISIBLE = "CUDA_VISIBLE_DEVICES"


class DeviceKind(StrEnum):
    """Kinds of devices."""

    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device, or several of a kind that one runner gets together, and how a child process is restricted to it."""

    name: str
    """What people and the database call it: ``"cpu"``, ``"cuda:1"`` for the second CUDA device this worker may see,
    ``"cuda:0,cuda:1"`` for both."""
    torch_name: str
    """What torch calls the first in the runner, which sees no other CUDA device: ``"cpu"`` or ``"cuda:0"``."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Set for the runner, so that code that takes "the GPU" takes this one."""
    kind: DeviceKind = DeviceKind.CPU
    model: str = "cpu"
    """As the driver calls it."""
    count: int = 1
    """How many devices it stands for."""
    memory_bytes: int | None = None
    """Memory of each, the least where they differ (of the machine, for the CPU); ``None`` when unknown."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Memory of one device."""

    total_bytes: int
    used_bytes: int
    """By any process."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a driver reports about one device."""

    model: str
    memory: Memory | None
    """``None`` where the driver does not report it."""


class Driver(Protocol):
    """Knows the CUDA devices of this machine."""

    def count(self) -> int:
        """How many there are, also those that this process cannot see."""
        ...

    def card(self, identifier: str) -> Card | None:
        """One of them, as `CUDA_VISIBLE_DEVICES` calls it (an index or a UUID, of which a prefix is enough).

        ``None`` when there is none.
        """
        ...


class NvidiaDriver:
    """NVIDIA's driver. Without one there are no devices."""

    def count(self) -> int:
        """How many devices there are, also those that this process cannot see; 0 without a driver."""
        with _nvml() as nvml:
            return 0 if nvml is None else int(nvml.nvmlDeviceGetCount())

    def card(self, identifier: str) -> Card | None:
        """One device, or a slice of one (MIG), named by its UUID."""
        with _nvml() as nvml:
            if nvml is None:
                return None
            try:
                handle = _handle(nvml, identifier)
                model = str(nvml.nvmlDeviceGetName(handle))
            except nvml.NVMLError:
                return None
            try:
                memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            except nvml.NVMLError:  # some share the machine's memory, and have none of their own
                return Card(model=model, memory=None)
            return Card(model=model, memory=Memory(total_bytes=int(memory.total), used_bytes=int(memory.used)))


NVIDIA = NvidiaDriver()


def find_devices(environment: Mapping[str, str], *, driver: Driver = NVIDIA) -> tuple[Device, ...]:
    """The devices that a worker may use: the CUDA devices it may see, in order, then the CPU.

    Args:
        environment: The worker's own; ``CUDA_VISIBLE_DEVICES`` is read as CUDA reads it (indices or UUIDs, up to the
            first that names no device).
        driver: Reports what the machine has.
    """
    visible = _visible(environment.get(_VISIBLE), count=driver.count())
    chosen = _VISIBLE in environment
    found = [
        _cuda_device(position, identifier=identifier, driver=driver, chosen_by_operator=chosen)
        for position, identifier in enumerate(visible)
    ]
    cpu = Device(name="cpu", torch_name="cpu", environment={_VISIBLE: ""}, memory_bytes=_machine_memory().total_bytes)
    return (*found, cpu)


def training_devices(environment: Mapping[str, str], *, driver: Driver = NVIDIA) -> tuple[str, ...]:
    """Names of the devices that deserve a worker each: every CUDA device, or the CPU where there is none.

    Args:
        environment: As for `find_devices`.
        driver: Reports what the machine has.
    """
    names = tuple(device.name for device in find_devices(environment, driver=driver))
    return names[:-1] or names


def choose_device(wanted: str, *, environment: Mapping[str, str], driver: Driver = NVIDIA) -> Device:
    """The device, or the devices, that a worker is set to use.

    Args:
        wanted: ``"auto"`` (the first CUDA device, else the CPU), ``"cpu"``, ``"cuda"`` (the first), ``"cuda:<n>"``, or
            several CUDA devices for one worker: ``"cuda:0,cuda:1"``.
        environment: The worker's own.
        driver: Reports what the machine has.

    Raises:
        InvalidValue: There is no such device, one is named twice, or the CPU is named among several; the message lists
            those that are there.
    """
    devices = find_devices(environment, driver=driver)
    if wanted == "auto":
        return devices[0]
    by_name = {device.name: device for device in devices}
    there = ", ".join(by_name)
    chosen: list[Device] = []
    for name in wanted.split(","):
        device = by_name.get("cuda:0" if name.strip() == "cuda" else name.strip())
        if device is None:
            raise InvalidValue("device", value=wanted, allowed=f"auto or one of those this worker can see ({there})")
        chosen.append(device)
    if len(chosen) == 1:
        return chosen[0]
    if len(set(wanted_names := [device.name for device in chosen])) < len(chosen) or "cpu" in wanted_names:
        raise InvalidValue("device", value=wanted, allowed=f"different CUDA devices where it names several ({there})")
    return _together(chosen)


def memory_of(device: Device, *, driver: Driver = NVIDIA) -> tuple[Memory | None, ...]:
    """Memory of each device that a device stands for, as it is now; of the machine, for the CPU.

    Args:
        device: The device.
        driver: Reports what the machine has.
    """
    if device.kind is DeviceKind.CPU:
        return (_machine_memory(),)
    cards = [driver.card(identifier) for identifier in device.environment[_VISIBLE].split(",")]
    return tuple(None if card is None else card.memory for card in cards)


def _cuda_device(position: int, *, identifier: str, driver: Driver, chosen_by_operator: bool) -> Device:
    card = driver.card(identifier) or Card(model="cuda", memory=None)
    # The driver counts devices in the order of the bus, CUDA by speed unless set: without this, cuda:1 could be
    # another card than the one counted. Indices that the operator chose mean what they meant to the operator.
    order = {} if chosen_by_operator else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return Device(
        name=f"cuda:{position}",
        torch_name="cuda:0",
        kind=DeviceKind.CUDA,
        model=card.model,
        memory_bytes=None if card.memory is None else card.memory.total_bytes,
        environment={_VISIBLE: identifier, **order},
    )


def _together(devices: list[Device]) -> Device:
    """Several CUDA devices as the one device of a worker."""
    memories = [device.memory_bytes for device in devices]
    known = [memory for memory in memories if memory is not None]
    return Device(
        name=",".join(device.name for device in devices),
        torch_name="cuda:0",
        kind=DeviceKind.CUDA,
        model=" + ".join(dict.fromkeys(device.model for device in devices)),
        count=len(devices),
        memory_bytes=min(known) if len(known) == len(memories) else None,
        environment={
            **devices[0].environment,
            _VISIBLE: ",".join(device.environment[_VISIBLE] for device in devices),
        },
    )


def _visible(setting: str | None, *, count: int) -> tuple[str, ...]:
    if setting is None:
        return tuple(str(index) for index in range(count))
    identifiers: list[str] = []
    for identifier in (part.strip() for part in setting.split(",")):
        is_index = identifier.lstrip("-").isdigit()
        if count == 0 or not identifier or (is_index and not 0 <= int(identifier) < count):
            break
        identifiers.append(identifier)
    return tuple(identifiers)


def _machine_memory() -> Memory:
    page = os.sysconf("SC_PAGE_SIZE")
    total = page * os.sysconf("SC_PHYS_PAGES")
    # macOS does not report what is free
    free = page * os.sysconf("SC_AVPHYS_PAGES") if "SC_AVPHYS_PAGES" in os.sysconf_names else 0
    return Memory(total_bytes=total, used_bytes=total - free)


@contextmanager
def _nvml() -> Iterator[Any]:
    """NVIDIA's management library within the block; ``None`` where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _handle(nvml: Any, identifier: str) -> Any:
    if identifier.isdigit():
        return nvml.nvmlDeviceGetHandleByIndex(int(identifier))
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        if str(nvml.nvmlDeviceGetUUID(handle)).startswith(identifier):
            return handle
    return nvml.nvmlDeviceGetHandleByUUID(identifier)  # a slice of a card has a UUID of its own
