"""Choices that the command line spells out, because importing the enumerations takes too long for a help text."""

from typing import get_args

from tuner.cli.admin.webhook import FormatName, StateName
from tuner.cli.jobs.options import PrunerChoice, SamplerChoice
from tuner.cli.options import RoleName
from tuner.cli.schedule.commands import FormatName as ExportFormatName
from tuner.cli.schedule.fitting import OptimizerName, RuleName
from tuner.cli.schedule.options import MAX_STEPS
from tuner.exports import EXPORTERS, ExportFormat
from tuner.jobs.webhooks import DeliveryState, WebhookFormat
from tuner.people.permissions import Role
from tuner.schedules import lengths
from tuner.schedules.scaling import ScaledFor, ScalingRule
from tuner.search.settings import PrunerName, SamplerName


def test_the_choices_are_those_of_the_library():
    assert get_args(RoleName) == tuple(Role)
    assert get_args(FormatName) == tuple(WebhookFormat)
    assert get_args(StateName) == tuple(DeliveryState)
    assert get_args(ExportFormatName) == tuple(ExportFormat) == tuple(EXPORTERS)
    assert get_args(RuleName) == tuple(ScalingRule)
    assert OptimizerName == ScaledFor
    assert get_args(SamplerChoice) == tuple(SamplerName)
    assert get_args(PrunerChoice) == tuple(PrunerName)
    assert MAX_STEPS == lengths.MAX_STEPS
