"""What this machine can train on, found without loading torch: CUDA devices, counted by their driver, and the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tuner.errors import InvalidValue

_VISIBLE = "CUDA_VISIBLE_DEVICES"


class DeviceKind(StrEnum):
    """Kinds of devices."""

    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device, and how a child process is kept to it."""

    name: str
    """What people and the database call it: ``"cpu"``, ``"cuda:1"`` for the second CUDA device this worker may see."""
    torch_name: str
    """What torch calls it inside the runner, which sees no other CUDA device: ``"cpu"`` or ``"cuda:0"``."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Set for the runner, so that code that takes "the GPU" takes this one."""
    kind: DeviceKind = DeviceKind.CPU
    model: str = "cpu"
    """As the driver calls it."""
    count: int = 1
    """How many devices it stands for."""
    memory_bytes: int | None = None
    """Memory of each (of the machine, for the CPU); ``None`` when unknown."""


def count_nvidia_devices() -> int:
    """CUDA devices in this machine by its driver, whatever this process may see; 0 without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    try:
        return int(pynvml.nvmlDeviceGetCount())
    finally:
        pynvml.nvmlShutdown()


def find_devices(
    environment: Mapping[str, str], *, count: Callable[[], int] = count_nvidia_devices
) -> tuple[Device, ...]:
    """The devices that a worker may use: the CUDA devices it may see, in order, then the CPU.

    Args:
        environment: The worker's own; ``CUDA_VISIBLE_DEVICES`` is read as CUDA reads it (indices or UUIDs, up to the
            first that names no device).
        count: Tells how many CUDA devices the machine has.
    """
    found = [
        Device(
            name=f"cuda:{position}",
            torch_name="cuda:0",
            kind=DeviceKind.CUDA,
            model="cuda",
            environment=_only(identifier, chosen_by_operator=_VISIBLE in environment),
        )
        for position, identifier in enumerate(_visible(environment.get(_VISIBLE), count=count()))
    ]
    return (*found, Device(name="cpu", torch_name="cpu", environment={_VISIBLE: ""}))


def training_devices(
    environment: Mapping[str, str], *, count: Callable[[], int] = count_nvidia_devices
) -> tuple[str, ...]:
    """Names of the devices that deserve a worker each: every CUDA device, or the CPU where there is none.

    Args:
        environment: As for `find_devices`.
        count: Tells how many CUDA devices the machine has.
    """
    names = tuple(device.name for device in find_devices(environment, count=count))
    return names[:-1] or names


def choose_device(
    wanted: str, *, environment: Mapping[str, str], count: Callable[[], int] = count_nvidia_devices
) -> Device:
    """The device that a worker was told to use.

    Args:
        wanted: ``"auto"`` (the first CUDA device, else the CPU), ``"cpu"``, ``"cuda"`` (the first) or ``"cuda:<n>"``.
        environment: The worker's own.
        count: Tells how many CUDA devices the machine has.

    Raises:
        InvalidValue: There is no such device; the message lists those that are there.
    """
    devices = find_devices(environment, count=count)
    if wanted == "auto":
        return devices[0]
    name = "cuda:0" if wanted == "cuda" else wanted
    for device in devices:
        if device.name == name:
            return device
    there = ", ".join(device.name for device in devices)
    raise InvalidValue("device", value=wanted, allowed=f"auto or one of those this worker can see ({there})")


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


def _only(identifier: str, *, chosen_by_operator: bool) -> dict[str, str]:
    # The driver counts devices in the order of the bus, CUDA by speed unless told: without this, cuda:1 could be
    # another card than the one counted. Indices that the operator chose mean what they meant to the operator.
    order = {} if chosen_by_operator else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return {_VISIBLE: identifier, **order}
