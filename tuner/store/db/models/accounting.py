"""Tables of device time: the usage of accounts and the pace of workloads."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from tuner.store.db.models.base import Base, Name, TeamName


class Account(Base):
    """A user who has submitted for a team: device time is counted per account."""

    __tablename__ = "tuner_accounts"

    team: Mapped[str] = mapped_column(TeamName, primary_key=True)
    owner: Mapped[str] = mapped_column(Name, primary_key=True)


class Usage(Base):
    """Device time of an account in one hour."""

    __tablename__ = "tuner_usage"
    __table_args__ = (
        ForeignKeyConstraint(["team", "owner"], [Account.team, Account.owner], name="fk_tuner_usage_account"),
        Index(None, "hour"),
    )

    team: Mapped[str] = mapped_column(TeamName, primary_key=True)
    owner: Mapped[str] = mapped_column(Name, primary_key=True)
    hour: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Hours since 1970 UTC."""
    device_seconds: Mapped[float]
    updates: Mapped[int]


class Pace(Base):
    """Updates and device time of a workload on a device model, summed over all runs."""

    __tablename__ = "tuner_paces"

    workload: Mapped[str] = mapped_column(Name, primary_key=True)
    version: Mapped[str] = mapped_column(Name, primary_key=True)
    device_model: Mapped[str] = mapped_column(Name, primary_key=True)
    updates: Mapped[int]
    device_seconds: Mapped[float]
