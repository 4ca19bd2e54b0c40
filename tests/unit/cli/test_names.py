"""Choices that the command line spells out, because importing the enumerations takes too long for a help text."""

from typing import get_args

from tuner.cli.options import RoleName
from tuner.cli.webhook import FormatName, StateName
from tuner.jobs.webhooks import DeliveryState, WebhookFormat
from tuner.people.roles import Role


def test_the_choices_are_those_of_the_library():
    assert get_args(RoleName) == tuple(Role)
    assert get_args(FormatName) == tuple(WebhookFormat)
    assert get_args(StateName) == tuple(DeliveryState)
