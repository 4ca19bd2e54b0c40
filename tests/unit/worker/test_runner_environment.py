from __future__ import annotations

from tuner_worker.runner.environment import runner_environment

URL = "postgresql://tuner:s3c%2Fret@db:5432/tuner"


def test_nothing_that_opens_the_database_reaches_the_training_code():
    environment = {
        "PATH": "/usr/bin",
        "HOME": "/home/tuner",
        "TUNER_DATABASE_URL": URL,
        "TUNER_DATA_DIR": "/data",
        "tuner_name": "w",
        "DATABASE_URL": "sqlite:///x",
        "PGPASSWORD": "s3c/ret",
        "PGPASSFILE": "/etc/pgpass",
        "BACKUP": f"--url={URL}",
        "OTHER_DRIVER": "postgresql+psycopg://tuner:s3c%2Fret@db/other",
        "RAW": "s3c/ret",
        "QUOTED": "s3c%2Fret",
        "HF_HOME": "/cache",
    }
    assert runner_environment(environment, database_url=URL) == {
        "PATH": "/usr/bin",
        "HOME": "/home/tuner",
        "HF_HOME": "/cache",
    }


def test_a_password_that_is_part_of_a_path_does_not_take_the_path_away():
    environment = {"PATH": "/opt/tuner/bin"}
    assert runner_environment(environment, database_url="postgresql://tuner:tuner@db/tuner") == environment


def test_the_runner_keeps_its_own_setting_and_gets_the_devices():
    environment = runner_environment(
        {"TUNER_THREADS": "4", "CUDA_VISIBLE_DEVICES": "0,1"},
        database_url="sqlite:///x.db",
        extra={"CUDA_VISIBLE_DEVICES": "1"},
    )
    assert environment == {"TUNER_THREADS": "4", "CUDA_VISIBLE_DEVICES": "1"}
