"""The dashboard's page as a browser shows it, with our notes and pictures in it."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.service.live import served
from tests.integration.service.world import World
from tuner.store import Store
from tuner_service.settings import Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Chromium (on Debian: apt-get install chromium)")
def test_a_trials_page_shows_its_schedule_in_words_and_as_a_picture(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, port=0)
    with closing(Store.open(settings.database)) as store:
        world = World(store)
        job = world.worked_off(world.job())
        study = store.study_view().id_of(job.id)
        label = store.trials.get(job.id, number=0).schedule.label
        with served(settings, store=store) as server:
            page = shown(f"{server.address}/dashboard/studies/{study}/trials?numbers=0", profile=tmp_path / "profile")
    assert f"a job ({job.id[:8]})" in page
    assert label in page
    assert f'src="/v1/jobs/{job.id}/trials/0/schedule.svg"' in page


def shown(url: str, *, profile: Path) -> str:
    """The page after its scripts have run."""
    browser = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command = [*browser, "--virtual-time-budget=10000", "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
