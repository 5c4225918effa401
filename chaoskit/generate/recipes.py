"""Which adapter stands in for the framework that calls a function."""

from __future__ import annotations

from chaoskit.generate.adapted import Adapted
from chaoskit.generate.arq_jobs import arq_job
from chaoskit.generate.django_views import django_view
from chaoskit.generate.handlers import FoundHandler
from chaoskit.generate.jobs import task
from chaoskit.generate.lambdas import lambda_function
from chaoskit.generate.loops import client_loop
from chaoskit.generate.subscribers import subscriber
from chaoskit.generate.web import endpoint


def adapted(handler: FoundHandler) -> Adapted | None:
    """The adapter of a function that a framework calls; None where there is none for it."""
    if handler.kind is not None:
        return None
    for recipe in (task, arq_job, subscriber, endpoint, django_view, lambda_function, client_loop):
        if (found := recipe(handler)) is not None:
            return found
    return None
