"""Django over PostgreSQL, through pytest-django's own fixtures, in a real run of pytest."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from databases.servers import Postgres
from plugin.projects import HEAD, Project

SETTINGS = """
import os
SECRET_KEY = "for tests"
INSTALLED_APPS = ["shop"]
POSTGRES = {{"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres", "HOST": {host!r}}}
DATABASES = {{"default": POSTGRES}}
"""

MODELS = """
from django.db import models

class Seen(models.Model):
    id = models.CharField(max_length=40, primary_key=True)

class Balance(models.Model):
    owner = models.CharField(max_length=40, primary_key=True)
    amount = models.IntegerField(default=0)
"""

HANDLERS = """
from django.db import transaction
from shop.models import Balance, Seen

def in_two(message):
    if Seen.objects.filter(pk=message.id).exists():
        return
    balance, _ = Balance.objects.get_or_create(owner=message.key)
    balance.amount += message.value
    balance.save()
    Seen.objects.create(pk=message.id)

@transaction.atomic
def in_one(message):
    in_two(message)
"""

TESTS = """
from contextlib import contextmanager
from django.db import connection
from shop import handlers
from shop.models import Balance, Seen

def wallet(deliver, handler):
    Balance.objects.all().delete(), Seen.objects.all().delete()

    @contextmanager
    def process():
        try:
            yield handler
        finally:
            connection.close()

    deliver(spawn=process)
    return dict(Balance.objects.values_list("owner", "amount"))

SMALL = events(st.integers(1, 9), keys=st.just("alice"), max_size=3)

@pytest.mark.django_db(transaction=True)
@chaos(SMALL, broker=Kafka(partitions=1), schedules=20, faults={Crash})
def test_in_two(deliver):
    return wallet(deliver, handlers.in_two)

@pytest.mark.django_db(transaction=True)
@chaos(SMALL, broker=Kafka(partitions=1), schedules=20)
def test_in_one(deliver):
    return wallet(deliver, handlers.in_one)

@pytest.mark.django_db
@chaos(SMALL, broker=Kafka(partitions=1), schedules=20)
def test_nobody_else_sees(deliver):
    return wallet(deliver, handlers.in_one)
"""


def test_a_django_handler_is_found_and_its_transaction_holds(server: Postgres, tmp_path: Path) -> None:
    """`transactional_db`, since a process is a thread of its own and does not see an atomic test. The report shows the
    line between the two writes."""
    if find_spec("pytest_django") is None:
        pytest.skip("needs pytest-django, which is not installed")
    project = Project.at(tmp_path, test_wallet=HEAD + TESTS)
    for name, text in (("__init__", ""), ("models", MODELS), ("handlers", HANDLERS)):
        project.write(f"shop/{name}.py", text)
    project.write("settings.py", SETTINGS.format(host=server.directory))
    ran = project.run("pytest", env={"DJANGO_SETTINGS_MODULE": "settings"})
    assert "2 failed, 1 passed" in ran.out, ran.text
    ran.assert_in_order("test_in_two does not survive Crash", "Where the process was killed", "handlers.py:11")
    assert "the test runs in a transaction of Django's" in ran.out
    assert "pytest.mark.django_db(transaction=True)" in ran.out
