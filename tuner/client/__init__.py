"""The service's API, typed: for scripts, notebooks and the command line."""

from tuner.client.answers import (
    JobPreview,
    Me,
    NewToken,
    Preview,
    PreviewPoint,
    Refusal,
    RunLog,
    WebhookTest,
    WebhookWithKey,
)
from tuner.client.client import Client
from tuner.client.errors import ApiProblem, NotLoggedIn, ServiceUnreachable
from tuner.client.profiles import DEFAULT_URL, Profiles, canonical
from tuner.client.transport import Keep

__all__ = [
    "DEFAULT_URL",
    "ApiProblem",
    "Client",
    "JobPreview",
    "Keep",
    "Me",
    "NewToken",
    "NotLoggedIn",
    "Preview",
    "PreviewPoint",
    "Profiles",
    "Refusal",
    "RunLog",
    "ServiceUnreachable",
    "WebhookTest",
    "WebhookWithKey",
    "canonical",
]
