import json

import pytest
from typer.testing import CliRunner

from service.schedules.schemas import MAX_STEPS
from tuner.cli.main import app
from tuner.schedules import Constant, Schedule, Warmup, Wsd


def invoke(*arguments: str, stdin: str | None = None):
    return CliRunner().invoke(app, ["schedule", *arguments], input=stdin)


WSD = Schedule(peak_lr=0.02, family=Wsd(cooldown=0.4), warmup=Warmup(shape="linear", fraction=0.05), floor=0.1)
FLAGS = ("--family", "wsd", "--param", "cooldown=0.4", "--peak-lr", "0.02", "--warmup", "5%", "--floor", "0.1")


class TestExport:
    def test_flags_name_a_schedule(self):
        result = invoke("export", *FLAGS)
        assert Schedule.from_json(result.stdout) == WSD
        assert result.stderr == ""

    @pytest.mark.parametrize(("length", "warmup"), [("50", {"updates": 50}), ("0.25", {"fraction": 0.25})])
    def test_a_warmup_is_given_in_updates_or_as_a_part_of_the_run(self, length, warmup):
        exported = Schedule.from_json(invoke("export", "--family", "constant", "--warmup", length).stdout)
        assert exported == Schedule(peak_lr=0.01, family=Constant(), warmup=Warmup(shape="linear", **warmup))

    def test_what_is_exported_is_read_back_from_standard_input(self):
        assert Schedule.from_json(invoke("export", "--spec", "-", stdin=WSD.to_json()).stdout) == WSD

    def test_the_csv_has_the_rate_of_every_update(self):
        lines = invoke("export", *FLAGS, "--format", "csv", "--total-steps", "100").stdout.splitlines()
        assert lines[0] == "update,lr"
        assert [float(line.split(",")[1]) for line in lines[1:]] == WSD.lrs(100).tolist()

    def test_a_file_is_written_and_named(self, tmp_path):
        file = tmp_path / "wsd.json"
        result = invoke("export", *FLAGS, "--output", str(file))
        assert Schedule.from_json(file.read_text()) == WSD
        assert (result.stdout, result.stderr) == ("", f"Wrote {file}.\n")

    def test_a_file_that_cannot_be_written_is_one_line(self, tmp_path):
        result = invoke("export", *FLAGS, "--output", str(tmp_path / "none" / "wsd.json"))
        assert result.exit_code == 2
        assert "No such file or directory" in result.stderr

    def test_a_failure_on_the_way_leaves_the_former_file_whole(self, tmp_path, monkeypatch):
        def broken(*_, **__):
            yield "update,lr\n"
            raise OSError("No space left on device")

        monkeypatch.setattr("tuner.exports.plain.schedule_csv", broken)
        (tmp_path / "rates.csv").write_text("former")
        result = invoke("export", *FLAGS, "--format", "csv", "--output", str(tmp_path / "rates.csv"))
        assert result.exit_code == 2
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("rates.csv", "former")]

    def test_what_a_link_names_is_replaced_and_a_device_is_written_to(self, tmp_path):
        (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
        for output in (tmp_path / "link.json", "/dev/null"):
            assert invoke("export", *FLAGS, "--output", str(output)).exit_code == 0
        assert (tmp_path / "link.json").is_symlink()
        assert Schedule.from_json((tmp_path / "real.json").read_text()) == WSD

    @pytest.mark.parametrize("command", ["preview", "export"])
    def test_a_run_is_no_longer_than_over_rest(self, command):
        result = invoke(command, *FLAGS, "--total-steps", str(10**20))
        assert result.exit_code == 2
        assert f"it must be at most {MAX_STEPS}, got '{10**20}'" in result.stderr


class TestPreview:
    def test_it_draws_the_schedule_below_its_label(self):
        lines = invoke("preview", *FLAGS, "--total-steps", "2000").stdout.splitlines()
        assert lines[0] == f"{WSD.label}; 2,000 updates"
        assert "2.00e-02" in lines[1]
        assert lines[-1].split()[-1] == "2,000"

    def test_json_gives_the_schedule_and_at_most_200_points_of_it(self):
        told = json.loads(invoke("preview", *FLAGS, "--total-steps", "1001", "--json").stdout)
        assert Schedule.model_validate(told["schedule"]) == WSD
        assert (told["label"], told["digest"], told["total_steps"]) == (WSD.label, WSD.digest, 1001)
        assert len(told["points"]) <= 200
        assert all(lr == WSD.lr(update, total_steps=1001) for update, lr in told["points"])


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "the schedule must be named by exactly one of --family, --spec and --job, got ''"),
            (("--family", "wsd", "--spec", "-"), "exactly one of --family, --spec and --job, got '--family --spec'"),
            (("--spec", "-", "--floor", "0.1"), "--family must be given with --floor"),
            (("--family", "linear", "--trial", "3"), "--job must be given with --trial"),
            (("--family", "nope"), "family.name must be one of 'constant', 'linear'"),
            (("--family", "linear", "--param", "cooldown"), "--param must be NAME=VALUE, got 'cooldown'"),
            (("--family", "linear", "--param", "slope=3"), "family.slope is not one of the known fields: name"),
            (("--family", "linear", "--warmup", "long"), "--warmup must be updates (500) or a part of the run"),
            (("--family", "linear", "--warmup", "150%"), "warmup.fraction must be below 1"),
            (("--family", "linear", "--peak-lr", "-1"), "peak_lr must be above 0"),
            (("--family", "linear", "--peak-lr", "nan"), "peak_lr must be a finite number"),
            (("--family", "linear", "--floor", "1"), "floor must be below 1"),
            (("--family", "linear", "--warmup", "500", "--total-steps", "100"), "500"),
            (("--family", "linear", "--total-steps", "0"), "'--total-steps'"),
        ],
    )
    def test_a_bad_schedule_is_refused_with_field_value_and_what_is_allowed(self, arguments, message):
        result = invoke("preview", *arguments, stdin="{}")
        assert result.exit_code == 2
        assert result.stdout == ""
        assert message in result.stderr
