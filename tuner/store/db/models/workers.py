"""Tables of workers and of the workloads that they announce."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, false
from sqlalchemy.orm import Mapped, mapped_column

from tuner.devices import DeviceKind
from tuner.store.db.models.base import Base, Name, TeamName, enum_type


class Workload(Base):
    """The latest announcement of a workload by a worker."""

    __tablename__ = "tuner_workloads"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    version: Mapped[str] = mapped_column(Name)
    info: Mapped[dict[str, Any]]
    announced_at: Mapped[float]


class Worker(Base):
    """A worker: running, killed, or shut down."""

    __tablename__ = "tuner_workers"

    name: Mapped[str] = mapped_column(Name, primary_key=True)
    device: Mapped[str] = mapped_column(Name)
    device_kind: Mapped[DeviceKind] = mapped_column(enum_type(DeviceKind))
    device_model: Mapped[str] = mapped_column(Name)
    devices: Mapped[int] = mapped_column(Integer)
    memory_bytes: Mapped[int | None]
    workloads: Mapped[dict[str, Any]]
    """Version by name."""
    reserved_for: Mapped[str | None] = mapped_column(TeamName)
    draining: Mapped[bool] = mapped_column(server_default=false())
    started_at: Mapped[float]
    heartbeat_at: Mapped[float]
    left_at: Mapped[float | None]
