"""Every broker through the front door: found, told in its own words, saved, replayed, repaired."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plugin.projects import BUGGY, FIXED, HEAD, Project, Ran

WORDS: dict[str, tuple[str, str]] = {
    'Kafka(group="share", consumers=2)': ("acquisition lock", "idempotent"),
    'Kafka(on_error="retry_topic")': ("commit", "idempotent"),
    "Kinesis()": ("checkpoint", "checkpoint_every=1"),
    'Kinesis(consumer="lambda")': ("its batch was retried in place", "report_batch_item_failures=True"),
    "EventHubs()": ("checkpoint", "checkpoint_every=1"),
    "RabbitMQStream()": ("stored the offset", "store_offset_every=1"),
    "Debezium()": ("offset was flushed", "offset.flush.interval.ms"),
    "SqsStandard()": ("visibility timeout of e expired", "VisibilityTimeout"),
    "SqsFifo()": ("visibility timeout", "max_number_of_messages=1"),
    "SnsSqs()": ("visibility timeout", "VisibilityTimeout"),
    "LambdaSqs()": ("function failed at e", "report_batch_item_failures=True"),
    "PubSub()": ("ack deadline", "not acknowledged in time comes again"),
    "PubSub(ordering=True)": ("ordering key", "brings back what follows"),
    "Pulsar()": ("cursor of the subscription", "what is unacked when a consumer is gone comes again"),
    'Pulsar(subscription_type="Key_Shared")': ("what was unacked came again", "no setting"),
    "RabbitMQ()": ("requeued by the closed channel", "prefetch=1"),
    "RedisStreams()": ("XAUTOCLAIM", "decides when it claims"),
    "RedisList()": ("processing list", "reliable pattern"),
    "JetStream()": ("ack wait of e ran out", "max_ack_pending=1"),
    "ServiceBus()": ("lock of e expired", "lock duration"),
    "ServiceBus(sessions=True)": ("session lock was lost", "had not completed"),
    "PostgresQueue()": ("was claimed again", "database transaction"),
    "Outbox()": ("relay crashed", "a batch of one"),
    "Celery(acks_late=True)": ("visibility_timeout", "acks_late=False"),
    "Webhook()": ("no 2xx", "retries go on for 3 days"),
    "Anything()": ("e came again", "a broker that delivers once"),
}
"""What a redelivery is called, and what rules it out, by broker."""


def project_at(root: Path) -> Project:
    tests = [
        f"""
@chaos(PAYMENTS, broker={broker}, faults={{Redeliver}}, schedules=200)
def test_{number}(deliver):
    balances = {{}}
    deliver(handler(balances))
    return balances
"""
        for number, broker in enumerate(WORDS)
    ]
    return Project.at(root, handlers=BUGGY, test_brokers=HEAD + "from handlers import handler\n" + "\n".join(tests))


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    project = project_at(tmp_path_factory.mktemp("brokers"))
    return project, project.pytest("--chaos-seed=1", "--tb=short")


def report_of(ran: Ran, number: int) -> str:
    """The report of one test, without line breaks and with every event called e."""
    found = re.search(rf"_ test_{number} _+\n(.*?)(?=\n_+ test_|\n=+ )", ran.out, re.DOTALL)
    assert found, ran.text
    return re.sub(r"\be\d+", "e", re.sub(r"\s+", " ", found[1]))


@pytest.mark.parametrize("broker", WORDS)
def test_a_redelivery_is_told_in_the_brokers_own_words(failing: tuple[Project, Ran], broker: str) -> None:
    """What happened, and which setting or habit rules it out."""
    report = report_of(failing[1], list(WORDS).index(broker))
    happened, remedy = report.partition("What rules it out")[::2]
    assert f"which {broker.partition('(')[0]} can do" in happened
    assert WORDS[broker][0] in happened
    assert WORDS[broker][1] in remedy
    assert "None" not in report


def test_each_failure_is_saved_replayed_and_repaired(failing: tuple[Project, Ran], tmp_path: Path) -> None:
    """STILL FAILS with the buggy handler, FIXED with the repaired one, and no failure after that."""
    project = failing[0].copy(tmp_path / "copy")
    assert len(project.repros) == len(WORDS)
    before = project.chaoskit("replay", ".chaoskit")
    assert (before.code, before.out.count("STILL FAILS")) == (1, len(WORDS)), before.text
    project.write("handlers.py", FIXED)
    after = project.chaoskit("replay", ".chaoskit")
    assert (after.code, after.out.count("FIXED")) == (0, len(WORDS)), after.text
    assert project.pytest("-q", "--chaos-seed=2").code == 0


def test_a_saved_failure_can_be_shown(failing: tuple[Project, Ran]) -> None:
    """`chaoskit show` prints each file's report again, with the delivery counts that the broker carries."""
    shown = [failing[0].chaoskit("show", str(path)) for path in failing[0].repros[:6]]
    assert [ran.code for ran in shown] == [0] * len(shown)
    assert all("What rules it out" in ran.out for ran in shown)


def test_a_kind_that_the_broker_cannot_make_names_the_setting_that_would_allow_it(tmp_path: Path) -> None:
    """Asking for it by name is an error, before anything is run."""
    test = (
        HEAD
        + """
@chaos(PAYMENTS, broker=PostgresQueue(), faults={Zombie})
def test_it(deliver):
    state = {}
    deliver(lambda message: state.update({message.key: message.value}))
    return state
"""
    )
    ran = Project.at(tmp_path, test_it=test).pytest()
    assert ran.code == pytest.ExitCode.INTERRUPTED
    assert (
        'PostgresQueue cannot make Zombie: nobody else can claim a row while its lock is held; style="lease"' in ran.out
    )
