"""The service's API, typed: for scripts, notebooks and the command line."""

from tuner.api.jobs import JobDetail, JobPreview, JobSummary, JobView, Refusal, TrialView
from tuner.api.people import Me, NewToken
from tuner.api.runs import RunLog, RunView
from tuner.api.schedules import Preview, PreviewPoint
from tuner.api.webhooks import WebhookTest, WebhookWithKey
from tuner.client.client import Client
from tuner.client.errors import ApiProblem, NotLoggedIn, ServiceUnreachable
from tuner.client.profiles import DEFAULT_URL, Profiles, canonical

__all__ = [
    "DEFAULT_URL",
    "ApiProblem",
    "Client",
    "JobDetail",
    "JobPreview",
    "JobSummary",
    "JobView",
    "Me",
    "NewToken",
    "NotLoggedIn",
    "Preview",
    "PreviewPoint",
    "Profiles",
    "Refusal",
    "RunLog",
    "RunView",
    "ServiceUnreachable",
    "TrialView",
    "WebhookTest",
    "WebhookWithKey",
    "canonical",
]
