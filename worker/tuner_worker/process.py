"""The process of a worker, which serves one device.

Exit codes: 0 after an orderly stop, 1 when it cannot work (the reason is the last thing it logs), 2 for what a restart
does not change: settings that are wrong, a package that is missing, tables of another version, a runner that ends by
itself in its first start (as one does whose workload cannot be imported). 130 after two signals to stop.

A database that is away, a disk that is full, read-only or gone, and a runner that is killed are waited for.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog
from pydantic import ValidationError

from tuner.backoff import Backoff
from tuner.devices import Device, choose_device
from tuner.disk import is_disk_error
from tuner.errors import DatabaseUnavailable, InvalidValue, SchemaMismatch, TunerError
from tuner.extras import ExtraMissing
from tuner.jobs.admission.strict_json import refusals
from tuner.store import Store
from tuner_worker.logs import configure_logs
from tuner_worker.loop import RunnerStartError, WorkerLoop
from tuner_worker.metrics import WorkerMetrics
from tuner_worker.name_lock import lock_name
from tuner_worker.redaction import Redaction
from tuner_worker.runner.environment import runner_environment
from tuner_worker.runner.log import RunnerLog
from tuner_worker.runner.process import RunnerCommand, RunnerProcess
from tuner_worker.runner.process_tree import ProcessTree
from tuner_worker.runner.user import RunnerUser, find_user, open_folders
from tuner_worker.settings import WorkerSettings
from tuner_worker.stop_request import StopRequest

_log = structlog.get_logger(__name__)

_OPTIONS = {
    "--database-url": "database_url",
    "--data-dir": "data_dir",
    "--name": "worker_name",
    "--device": "device",
    "--workload": "workloads",
    "--runner-user": "runner_user",
}


def read_settings(arguments: Sequence[str]) -> WorkerSettings:
    """The settings from the command line, the environment for what it leaves out, the defaults for the rest.

    Raises:
        ValidationError: A value is refused.
        SystemExit: The command line makes no sense (2), or asked for help (0).
    """
    parser = argparse.ArgumentParser(
        prog="python -m tuner_worker",
        description="Train the runs of a queue on one device.",
        epilog=_all_settings(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option, field in _OPTIONS.items():
        parser.add_argument(
            option,
            dest=field,
            action="append" if field == "workloads" else "store",
            help=WorkerSettings.model_fields[field].description,
        )
    arguments_set: dict[str, Any] = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value}
    return WorkerSettings(**arguments_set)


def _all_settings() -> str:
    """Every setting with its environment variable and its default, for the help."""
    lines = ["Environment variables, for what the command line leaves out (durations in seconds or ISO 8601):"]
    for name, field in WorkerSettings.model_fields.items():
        default = field.default.total_seconds() if isinstance(field.default, timedelta) else field.default
        lines += [f"  TUNER_{name.upper()} = {default or ''}", f"      {field.description}"]
    return "\n".join(lines)


def main(arguments: Sequence[str], *, stop: StopRequest) -> int:
    """Run a worker until it is asked to stop.

    Args:
        arguments: Of the command line.
        stop: Requested by SIGTERM and SIGINT already.

    Returns:
        The exit code.
    """
    try:
        settings = read_settings(arguments)
        device = choose_device(settings.device, environment=os.environ)
    except ValidationError as error:
        for refusal in refusals(error.errors(), model=WorkerSettings):
            sys.stderr.write(f"worker: {refusal.message}\n")
        return 2
    except InvalidValue as error:
        sys.stderr.write(f"worker: {error}\n")
        return 2

    configure_logs(Redaction(settings.database, os.environ))
    try:
        with structlog.contextvars.bound_contextvars(worker=settings.name_on(device.name)):
            work(settings, device=device, stop=stop)
            return 0
    except KeyboardInterrupt:
        return 130
    except TunerError as error:
        _log.error("worker.failed", reason=str(error))
        return 2 if _is_of_settings(error) else 1
    except Exception:  # a bug: reported through the log, which hides the password
        _log.exception("worker.crashed")
        return 1


def _is_of_settings(error: TunerError) -> bool:
    """Whether it would end the same when started again with the same settings."""
    of_settings = isinstance(error, RunnerStartError) and error.is_of_settings
    return isinstance(error, InvalidValue | ExtraMissing | SchemaMismatch) or of_settings


def work(settings: WorkerSettings, *, device: Device, stop: StopRequest) -> None:
    """Serve one device until a stop is requested; where the disk takes nothing, wait until it does, and begin anew.

    Args:
        settings: Of the worker.
        device: What it trains on.
        stop: Ends it.

    Raises:
        TunerError: It cannot work; the message says why.
        KeyboardInterrupt: It was asked twice to stop.
    """
    between = Backoff()
    while not stop.requested:
        try:
            return _serve(settings, device=device, stop=stop)
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            allowed = f"a folder in which this user may write ({error.strerror}: {error.filename})"
            raise InvalidValue("data_dir", value=str(settings.data_dir), allowed=allowed) from error
        except OSError as error:
            if not is_disk_error(error):
                raise
            _log.warning("disk.unavailable", reason=str(error), hint="the worker begins anew when it is back")
            stop.wait(between.pause())


def _serve(settings: WorkerSettings, *, device: Device, stop: StopRequest) -> None:
    name = settings.name_on(device.name)
    with lock_name(name, folder=settings.data_dir / "workers"):
        store = _open_store(settings.database, stop=stop)
        if store is None:
            return
        try:
            user = _runner_user(settings)
            command = _runner_command(settings, device=device, user=user)
            tree = ProcessTree(f"{settings.data_dir.resolve()}/{name}", user=None if user is None else user.uid)
            log = RunnerLog(settings.data_dir / "logs" / name)
            metrics = WorkerMetrics(device)
            loop = WorkerLoop(
                store,
                runner=RunnerProcess(command, tree=tree, log=log, stop=stop),
                hide=Redaction(settings.database, os.environ).hide,
                metrics=metrics,
                name=name,
                device=device,
                settings=settings,
                stop=stop,
            )
            with metrics.served(host=settings.metrics_host, port=settings.metrics_port):
                loop.run()
        finally:
            store.close()


def _runner_user(settings: WorkerSettings) -> RunnerUser | None:
    user = find_user(settings.runner_user)
    if user is not None:
        open_folders(settings.data_dir, user=user)
    elif os.geteuid() == 0:
        hint = "training code runs as root, too, and can read everything: set TUNER_RUNNER_USER, or use another user"
        _log.warning("worker.runs_as_root", hint=hint)
    return user


def _runner_command(settings: WorkerSettings, *, device: Device, user: RunnerUser | None) -> RunnerCommand:
    extra = {**device.environment, "TUNER_BRANCH_MEMORY_MB": str(settings.branch_memory_mb)}
    if user is not None:
        extra |= user.environment
    return RunnerCommand(
        device=device.torch_name,
        environment=runner_environment(os.environ, database_url=settings.database, extra=extra),
        workloads=settings.workloads,
        memory_limit_mib=settings.runner_memory_mb,
        user=user,
    )


def _open_store(url: str, *, stop: StopRequest) -> Store | None:
    """Open the database, waiting for it where it is away; ``None`` when asked to stop first."""
    away, reason = Backoff(), ""
    while not stop.requested:
        try:
            return Store.open(url)
        except DatabaseUnavailable as error:
            if str(error) != reason:
                _log.warning("database.unavailable", reason=str(error))
            reason = str(error)
            stop.wait(away.pause())
    return None
