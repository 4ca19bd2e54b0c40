"""The tables. Rows never leave the store: callers get the records of `tuner.jobs.records`.

All names carry the prefix ``tuner_``, because Optuna's tables are in the same database. Times are seconds since 1970
UTC by the database's clock. ``seq`` numbers rows in the order of creation; ``id`` is the public identifier. A change
here needs a migration; a test compares the two.
"""

from tuner.store.db.models.accounting import Account, Pace, Usage
from tuner.store.db.models.base import PREFIX, Base
from tuner.store.db.models.jobs import Event, Job, Report, Trial
from tuner.store.db.models.people import Audit, BrowserSession, Membership, Team, Token, User
from tuner.store.db.models.runs import Forecast, LogChunk, Point, Run, Snapshot
from tuner.store.db.models.webhooks import Delivery, Webhook
from tuner.store.db.models.workers import Worker, Workload

__all__ = [
    "PREFIX",
    "Account",
    "Audit",
    "Base",
    "BrowserSession",
    "Delivery",
    "Event",
    "Forecast",
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
