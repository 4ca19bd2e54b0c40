"""How Alembic meets the database. It does not touch logging: that belongs to the program that runs it."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from tuner.store.db.engine import WRITES, connect, parse_url
from tuner.store.db.models import Base
from tuner.store.maintenance.migrate import VERSION_TABLE, is_ours


def migrate(connection: Connection) -> None:
    """Run the revisions on an open connection."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        include_name=is_ours,
        render_as_batch=True,
        transactional_ddl=True,  # of SQLite, Alembic does not assume it
    )
    with context.begin_transaction():
        context.run_migrations()


shared = context.config.attributes.get("connection")
if shared is not None:
    migrate(shared)
else:  # alembic's own command line, for writing a revision: see README.md
    url = context.get_x_argument(as_dictionary=True)["url"]
    engine = connect(parse_url(url), foreign_keys=False).execution_options(**{WRITES: True})
    with engine.begin() as opened:
        migrate(opened)
    engine.dispose()
