"""Wheels, and virtual environments that they are installed into; no network."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build(source: Path, folder: Path) -> None:
    """Build the wheel and the source distribution of a project into a folder, with the declared back end."""
    code = (
        "import os, sys; from hatchling.build import build_wheel, build_sdist;"
        f"build_wheel({str(folder)!r}); build_sdist({str(folder)!r})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)


class Environment:
    """A virtual environment with what this one has installed, but without the checkout's own packages."""

    def __init__(self, folder: Path) -> None:
        _uv("venv", "--python", sys.executable, str(folder))
        self.bin = folder / "bin"
        (self.site_packages,) = folder.glob("lib/python*/site-packages")
        # A path file is not read for the folders that another one names, so the editable install stays out.
        (self.site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))

    def install(self, *wheels: Path) -> None:
        _uv("pip", "install", "--no-deps", "--python", str(self.bin / "python"), *map(str, wheels))

    def uninstall(self, name: str) -> None:
        _uv("pip", "uninstall", "--python", str(self.bin / "python"), name)

    def files(self) -> set[str]:
        """The installed files, without byte code."""
        found = (path for path in self.site_packages.rglob("*") if path.is_file() and path.suffix != ".pyc")
        return {str(path.relative_to(self.site_packages)) for path in found}


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    environment = {**os.environ, "UV_OFFLINE": "1"}
    subprocess.run([str(uv), *arguments], check=True, capture_output=True, env=environment)
