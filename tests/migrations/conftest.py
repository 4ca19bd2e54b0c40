from __future__ import annotations

from tests.integration.store.databases import empty_url, postgres  # noqa: F401
