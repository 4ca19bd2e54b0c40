from __future__ import annotations

from tests.integration.store.databases import postgres  # noqa: F401
