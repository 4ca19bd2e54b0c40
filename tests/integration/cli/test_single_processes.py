"""`tuner serve`, `tuner worker` and `tuner db upgrade`: the processes for a supervisor of your own."""

import signal

import pytest

from tuner.cli.stack.stack import database_in
from tuner.store import Store


class TestServe:
    def test_it_becomes_the_service_and_ends_with_sigterm(self, world, tmp_path):
        (tmp_path / "service").mkdir()  # must not be taken for the package of that name
        serve = world.start("serve", "--data-dir", str(tmp_path / "data"), "--port", str(world.port))
        world.until(lambda: world.cli("jobs").returncode == 0, what="the service")
        assert world.processes_of(tmp_path / "data") == {"service": serve.pid}
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(timeout=60) == 0

    def test_an_address_that_others_could_reach_is_refused_without_a_login(self, world, tmp_path):
        serve = world.start("serve", "--data-dir", str(tmp_path), "--host", "0.0.0.0", "--auth", "off")
        assert serve.wait(timeout=60) == 2
        assert "auth must be on or auto" in world.said_by(serve)

    def test_a_lost_token_of_the_admin_is_replaced(self, world, tmp_path):
        serve = world.start("serve", "--data-dir", str(tmp_path), "--auth", "on", "--new-admin-token")
        assert serve.wait(timeout=60) == 0
        assert "stt_" in world.said_by(serve)


class TestWorker:
    def test_a_device_that_is_not_there_is_refused(self, world, tmp_path):
        worker = world.start("worker", "--data-dir", str(tmp_path), "--device", "cuda:99")
        assert worker.wait(timeout=60) == 2
        assert "device must be auto or one of those" in world.said_by(worker)

    def test_a_workload_that_cannot_be_imported_is_a_wrong_setting(self, world, tmp_path):
        worker = world.start("worker", "--data-dir", str(tmp_path), "--workload", "nope:Nope")
        assert worker.wait(timeout=60) == 2
        assert "There is no module 'nope' in " in world.said_by(worker)

    @pytest.mark.parametrize("command", ["up", "worker"])
    @pytest.mark.parametrize("text", ["nope", "nope:", ":Nope", "no-pe:Nope", "nope:Nope.Inner"])
    def test_a_workload_that_is_no_module_and_class_is_refused_before_anything_starts(
        self, world, tmp_path, command, text
    ):
        done = world.cli(command, "--data-dir", str(tmp_path / "data"), "--workload", text)
        assert done.returncode == 2
        assert "--workload must be module:Class, as in my_project.training:MyWorkload, or a .toml" in done.stderr
        assert f"got '{text}'" in done.stderr
        assert not (tmp_path / "data").exists()


class TestDatabaseUpgrade:
    def test_it_makes_the_tables_and_running_it_again_changes_nothing(self, world, tmp_path):
        for _ in range(2):
            done = world.cli("db", "upgrade", "--data-dir", str(tmp_path / "data"))
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "The database is up to date.\n")
        Store.open(database_in(tmp_path / "data"), migrate=False).close()

    def test_a_database_of_another_kind_is_refused(self, world):
        done = world.cli("db", "upgrade", "--database-url", "mysql://me@host/tuner")
        assert done.returncode == 2
        assert "--database-url must be sqlite:///path/to/file.db or postgresql://" in done.stderr
