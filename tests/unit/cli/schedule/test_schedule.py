import json

import pytest
from typer.testing import CliRunner

from tuner.cli.main import app
from tuner.exports import EXPORTERS
from tuner.schedules import Constant, Schedule, Updates, Warmup, Wsd
from tuner.schedules.lengths import MAX_STEPS
from tuner.schedules.scaling import ScalingRule, scaled_to_batch


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
    def test_a_warmup_is_in_updates_or_a_fraction_of_the_run(self, length, warmup):
        exported = Schedule.from_json(invoke("export", "--family", "constant", "--warmup", length).stdout)
        assert exported == Schedule(peak_lr=0.01, family=Constant(), warmup=Warmup(shape="linear", **warmup))

    def test_an_export_can_be_read_back_from_standard_input(self):
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

        monkeypatch.setattr("tuner.exports.standalone.schedule_csv", broken)
        (tmp_path / "rates.csv").write_text("former")
        result = invoke("export", *FLAGS, "--format", "csv", "--output", str(tmp_path / "rates.csv"))
        assert result.exit_code == 2
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("rates.csv", "former")]

    def test_the_target_of_a_link_is_replaced_and_a_device_is_written_to(self, tmp_path):
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

    def test_exported_code_states_the_run(self, tmp_path):
        file = tmp_path / "schedule.py"
        arguments = ("--format", "torch", "--total-steps", "400", "--batch-size", "64", "--optimizer", "AdamW")
        result = invoke("export", *FLAGS, *arguments, "--output", str(file))
        names: dict = {}
        exec(file.read_text(), names)
        lrs = [names["PEAK_LR"] * names["lr_factor"](update) for update in range(400)]
        assert lrs == pytest.approx(WSD.lrs(400).tolist(), rel=1e-9)
        assert "Effective batch size: 64 samples of one update. Optimizer: AdamW." in file.read_text()
        assert result.stderr == f"Wrote {file}.\n"

    def test_a_fallback_is_explained_on_standard_error(self):
        result = invoke("export", *FLAGS, "--format", "huggingface", "--total-steps", "400")
        assert result.stderr.startswith("A function, as huggingface cannot express this in its own terms: Its warm-up ")
        assert "def make_scheduler(optimizer, reference=None):" in result.stdout

    def test_a_format_that_there_is_not_is_refused_with_those_that_there_are(self):
        result = invoke("export", *FLAGS, "--format", "caffe")
        assert result.exit_code == 2
        assert "'caffe' is not one of 'json', 'record', 'csv', 'python', 'torch'" in result.stderr

    def test_a_name_of_an_optimizer_cannot_be_code(self):
        result = invoke("export", *FLAGS, "--format", "torch", "--optimizer", "x\nimport os")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "optimizer must be a name" in result.stderr


class TestFormats:
    def test_every_format_is_listed_with_what_it_can_express(self):
        lines = invoke("formats").stdout.splitlines()
        assert [line.split()[0] for line in lines[1:]] == list(EXPORTERS)
        assert all(each.native in line for each, line in zip(EXPORTERS.values(), lines[1:], strict=True))

    def test_json_has_the_same(self):
        printed = json.loads(invoke("formats", "--json").stdout)
        assert [(each["name"], each["native"]) for each in printed] == [(e.name, e.native) for e in EXPORTERS.values()]


IN_UPDATES = Schedule(
    peak_lr=0.02, family=Wsd(cooldown=Updates(updates=400)), warmup=Warmup(shape="linear", updates=100)
)


class TestCompress:
    def test_it_is_the_librarys_and_is_read_back(self):
        arguments = ("--spec", "-", "--from-steps", "1000", "--to-steps", "300", "--min-warmup", "50")
        result = invoke("compress", *arguments, stdin=IN_UPDATES.to_json())
        fitted = IN_UPDATES.compressed(300, from_steps=1000, min_warmup=50)
        assert Schedule.from_json(result.stdout) == fitted
        assert result.stderr == f"{fitted.label}; fitted from 1,000 to 300 updates.\n"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--to-steps", "300"), "--from-steps must be given unless the schedule comes from a job"),
            (("--from-steps", "300"), "--to-steps"),
            (("--from-steps", "200", "--to-steps", "0"), "'--to-steps': it must be at least 1, got '0'"),
            (("--from-steps", "90", "--to-steps", "30"), "warmup.updates must be less than the whole run of 90"),
        ],
    )
    def test_what_is_missing_or_does_not_fit_is_named(self, arguments, message):
        result = invoke("compress", "--spec", "-", *arguments, stdin=IN_UPDATES.to_json())
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr


class TestScale:
    @pytest.mark.parametrize("rule", ScalingRule)
    def test_it_is_the_librarys_with_caveats_on_standard_error(self, rule):
        arguments = ("--rule", rule, "--from-batch", "64", "--to-batch", "256", "--optimizer", "adam")
        result = invoke("scale", "--spec", "-", *arguments, stdin=IN_UPDATES.to_json())
        scaled = scaled_to_batch(IN_UPDATES, rule=rule, from_batch=64, to_batch=256, optimizer="adam")
        assert Schedule.from_json(result.stdout) == scaled.schedule
        assert all(f"- {caveat}\n" in result.stderr for caveat in scaled.caveats)
        printed = json.loads(invoke("scale", "--spec", "-", *arguments, "--json", stdin=IN_UPDATES.to_json()).stdout)
        assert (printed["factor"], printed["caveats"]) == (scaled.factor, list(scaled.caveats))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--rule", "sqrt", "--to-batch", "256"), "--from-batch must be given unless a job has the batch size"),
            (("--rule", "cubic", "--to-batch", "256"), "'cubic' is not one of 'sqrt', 'linear'"),
            (("--to-batch", "256", "--from-batch", "64"), "--rule"),
            (("--rule", "sqrt", "--to-batch", "0"), "'--to-batch': it must be at least 1, got '0'"),
        ],
    )
    def test_what_is_missing_or_wrong_is_named(self, arguments, message):
        result = invoke("scale", "--spec", "-", *arguments, stdin=IN_UPDATES.to_json())
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr


class TestPreview:
    def test_it_draws_the_schedule_below_its_label(self):
        lines = invoke("preview", *FLAGS, "--total-steps", "2000").stdout.splitlines()
        assert lines[0] == f"{WSD.label}; 2,000 updates"
        assert "2.00e-02" in lines[1]
        assert lines[-1].split()[-1] == "2,000"

    def test_json_holds_the_schedule_and_at_most_200_points(self):
        printed = json.loads(invoke("preview", *FLAGS, "--total-steps", "1001", "--json").stdout)
        assert Schedule.model_validate(printed["schedule"]) == WSD
        assert (printed["label"], printed["digest"], printed["total_steps"]) == (WSD.label, WSD.digest, 1001)
        assert len(printed["points"]) <= 200
        assert all(lr == WSD.lr(update, total_steps=1001) for update, lr in printed["points"])


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "the schedule must be named by exactly one of --family, --spec and --job. `tuner schedule families`"),
            (("--family", "wsd", "--spec", "-"), "exactly one of --family, --spec and --job, got '--family --spec'"),
            (("--spec", "-", "--floor", "0.1"), "--family must be given with --floor"),
            (("--family", "linear", "--trial", "3"), "--job must be given with --trial"),
            (("--family", "nope"), "--family must be one of constant, linear"),
            (("--family", "linear", "--param", "cooldown"), "--param must be NAME=VALUE, got 'cooldown'"),
            (("--family", "linear", "--param", "slope=3"), "--param slope is not one of the known fields: name"),
            (("--family", "linear", "--warmup", "long"), "--warmup must be updates (500) or a part of the run"),
            (("--family", "linear", "--warmup", "150%"), "--warmup must be below 1"),
            (("--family", "linear", "--peak-lr", "-1"), "--peak-lr must be above 0"),
            (("--family", "linear", "--peak-lr", "nan"), "--peak-lr must be a finite number"),
            (("--family", "linear", "--floor", "1"), "--floor must be below 1"),
            (("--family", "linear", "--warmup", "500", "--total-steps", "100"), "500"),
            (("--family", "linear", "--total-steps", "0"), "'--total-steps'"),
        ],
    )
    def test_a_bad_schedule_is_refused_with_field_value_and_what_is_allowed(self, arguments, message):
        result = invoke("preview", *arguments, stdin="{}")
        assert result.exit_code == 2
        assert result.stdout == ""
        assert message in result.stderr
