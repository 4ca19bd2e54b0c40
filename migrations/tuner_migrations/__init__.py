"""The history of the tables, as Alembic revisions. Once released, a revision is never edited."""
