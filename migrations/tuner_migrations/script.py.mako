"""${message}.

Revision: ${up_revision}
Follows: ${down_revision or "nothing" | comma,n}
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    _do_not_queue_behind_long_transactions()
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    _do_not_queue_behind_long_transactions()
    ${downgrades if downgrades else "pass"}


def _do_not_queue_behind_long_transactions() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL lock_timeout = '5s'")
