"""The tables. Their rows never leave the store: what leaves are the records of `tuner.jobs.records`.

Everything carries the prefix ``tuner_``, because Optuna's tables live in the same database. Times are seconds since
1970 UTC by the database's clock. A row's ``seq`` is its place in the order of arrival; its ``id`` is what the world
knows it by. A change here needs a migration; a test compares the two.
"""

from tuner.store.db.models.accounting import Account, Pace, Usage
from tuner.store.db.models.base import PREFIX, Base
from tuner.store.db.models.jobs import Event, Job, Report, Trial
from tuner.store.db.models.people import Audit, Membership, Team, Token, User
from tuner.store.db.models.runs import LogChunk, Point, Run, Snapshot
from tuner.store.db.models.webhooks import Delivery, Webhook
from tuner.store.db.models.workers import Worker, Workload

__all__ = [
    "PREFIX",
    "Account",
    "Audit",
    "Base",
    "Delivery",
    "Event",
    "Job",
    "LogChunk",
    "Membership",
    "Pace",
    "Point",
    "Report",
    "Run",
    "Snapshot",
    "Team",
    "Token",
    "Trial",
    "Usage",
    "User",
    "Webhook",
    "Worker",
    "Workload",
]
