import pytest
from typer.testing import CliRunner

from tuner.cli.jobs.submit import merge_request
from tuner.cli.main import app


def test_the_command_line_overrides_the_document():
    document = {"workload": "a", "name": "n", "options": {"x": 1, "y": 2}, "search": {"trials": 9, "seed": 1}}
    assert merge_request(
        document,
        top={"workload": "b", "priority": "low"},
        parts={"options": {"y": 3}, "search": {"trials": 4}, "limits": {}},
    ) == {
        "workload": "b",
        "name": "n",
        "priority": "low",
        "options": {"x": 1, "y": 3},
        "search": {"trials": 4, "seed": 1},
    }


def test_absent_options_are_left_out_for_the_service_to_fill_in():
    assert merge_request({}, top={"workload": "a"}, parts={"options": {}, "search": {}}) == {"workload": "a"}


def test_a_part_of_a_wrong_type_is_left_for_the_service_to_refuse():
    assert merge_request({"options": 3}, top={}, parts={"options": {"x": 1}}) == {"options": 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "WORKLOAD must be given"),
        (["digits-mlp", "-o", "width"], "--option must be NAME=VALUE, got 'width'"),
        (["digits-mlp", "--spec", "/nowhere"], "--spec must be a file that can be read"),
        (["digits-mlp", "--watch", "--json"], "--json must be given without --watch"),
        (["digits-mlp", "--watch", "--dry-run"], "--dry-run must be given without --watch"),
        (["digits-mlp", "--worth", "much"], "--worth must be a share, as in 5% or 0.05, got 'much'"),
        (["digits-mlp", "--trials", "many"], "--trials must be a number, or none for no limit, got 'many'"),
        (["digits-mlp", "--incumbent", "cosine"], "--incumbent must be a JSON file, a job, or a schedule with a peak"),
        (["digits-mlp", "--incumbent", "cosin,peak-lr=1e-3"], "got 'cosin'. Did you mean 'cosine'?"),
        (["digits-mlp", "--device-hours", "many"], "--device-hours must be a number, or none for no limit, got 'many'"),
    ],
)
def test_a_senseless_command_line_is_refused_before_anything_is_sent(arguments, message):
    result = CliRunner().invoke(app, ["submit", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
