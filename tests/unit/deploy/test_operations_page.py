"""What docs/operations.md names exists."""

from __future__ import annotations

import re

import pytest
from typer.main import get_command

from tests.unit.deploy.container_files import ROOT, compose, stages
from tuner.cli.main import app
from tuner_service.settings import Settings
from tuner_worker.settings import WorkerSettings

PAGE = (ROOT / "docs/operations.md").read_text()


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", PAGE))))
def test_every_page_and_heading_that_it_links_to_exists(link: str) -> None:
    name, _, anchor = link.partition("#")
    file = ROOT / "docs" / name if name else ROOT / "docs/operations.md"
    assert file.is_file()
    assert not anchor or anchor in anchors(file.read_text())


def test_every_setting_that_it_names_can_be_set() -> None:
    settings = {f"TUNER_{name.upper()}" for model in (Settings, WorkerSettings) for name in model.model_fields}
    of_compose = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    of_images = {name for stage in stages().values() for name in stage.environment}
    assert set(re.findall(r"TUNER_[A-Z_]+", PAGE)) <= settings | of_compose | of_images


def test_what_the_images_and_the_compose_file_set_can_be_set() -> None:
    settings = {f"TUNER_{name.upper()}" for model in (Settings, WorkerSettings) for name in model.model_fields}
    given = {name for service in compose()["services"].values() for name in service.get("environment", {})}
    given |= {name for stage in stages().values() for name in stage.environment}
    roles = get_command(app).commands["db"].commands["roles"]  # type: ignore[attr-defined]
    settings |= {option.envvar for option in roles.params}
    assert {name for name in given if name.startswith("TUNER_")} <= settings


def test_every_command_that_it_names_exists() -> None:
    for words in re.findall(r"`tuner ((?:[a-z-]+ ?)+)", PAGE) + re.findall(
        r"^tuner ((?:[a-z-]+ ?)+)", PAGE, re.MULTILINE
    ):
        command = get_command(app)
        for word in words.split():
            known = getattr(command, "commands", None)
            if known is None:
                break
            assert word in known, words
            command = known[word]


def test_the_limits_of_connections_are_those_of_the_code() -> None:
    from tuner.store.db import engine

    for text in (
        f"| an answer to a new connection | {engine.CONNECT_SECONDS} s |",
        f"| a lock | {engine.LOCK_SECONDS} s,",
        f"| a statement | {engine.STATEMENT_SECONDS} s",
        f"| a transaction in which nothing happens | {engine.IDLE_SECONDS} s,",
        f"keeps {engine.POOL_SIZE} and takes {engine.POOL_SIZE + engine.MAX_OVERFLOW} at most",
    ):
        assert text in PAGE
