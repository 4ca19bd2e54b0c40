"""Reads the Dockerfile and docker-compose.yml as an engine would, for the tests."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
INSTRUCTIONS = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "USER", "VOLUME", "WORKDIR",
}  # fmt: skip


@dataclass
class Stage:
    """One stage of a Dockerfile: its instructions, after those of the stage that it builds on."""

    name: str
    parent: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [arguments for instruction, arguments in self.instructions if instruction == word]

    def last_list(self, word: str) -> list[str]:
        """The last CMD, ENTRYPOINT or HEALTHCHECK in its JSON form, the one that needs no shell."""
        given = self.all(word)[-1]
        return [str(part) for part in json.loads(given[given.index("[") :])]

    @property
    def environment(self) -> dict[str, str]:
        return dict(part.split("=", 1) for given in self.all("ENV") for part in shlex.split(given))


def stages() -> dict[str, Stage]:
    """The stages of the Dockerfile, each with everything that it inherits."""
    found: dict[str, Stage] = {}
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    current = Stage(name="", parent="")
    for line in filter(None, map(str.strip, joined.splitlines())):
        word, arguments = line.split(None, 1)
        if word == "FROM":
            match = re.fullmatch(r"(\S+) AS (\S+)", arguments)
            assert match, line
            above = found.get(match[1])
            current = Stage(name=match[2], parent=match[1], instructions=list(above.instructions) if above else [])
            found[match[2]] = current
        else:
            current.instructions.append((word, arguments))
    return found


def compose(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """docker-compose.yml with its variables filled in and its merges made."""
    given = environment or {}

    def fill(match: re.Match[str]) -> str:
        return given.get(match["name"]) or match["default"] or ""

    def filled(value: Any) -> Any:
        match value:
            case str():
                return re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}", fill, value)
            case list():
                return [filled(part) for part in value]
            case dict():
                return {key: filled(part) for key, part in value.items()}
        return value

    loaded: dict[str, Any] = filled(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))
    return loaded
