"""All routes about people."""

from __future__ import annotations

from fastapi import APIRouter

from tuner_service.people import audit, teams, tokens, users

router = APIRouter()
for part in (users, teams, tokens, audit):
    router.include_router(part.router)
