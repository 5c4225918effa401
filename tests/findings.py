"""Which test shows which finding: each row was found wrong with version 0.1 and is held right by the tests it names.

`tests/test_findings.py` checks that each of them exists. A row is `name: (what a user sees now, tests)`.
"""

Rows = dict[str, tuple[str, tuple[str, ...]]]

# A. What the search could not make.

SEARCH_MAKES: Rows = {}

# B. Facts about brokers.

BROKERS_SETTINGS: Rows = {}

# B, continued: what the judge of traces permits.

_LOGS = "tests/models/test_permits_logs.py"
_QUEUES = "tests/models/test_permits_queues.py"
_LOG_TESTS = (
    f"{_LOGS}::test_what_can_happen_is_permitted",
    f"{_LOGS}::test_what_cannot_happen_is_refused_at_its_first_word_and_with_the_rule",
)
_QUEUE_TESTS = (
    f"{_QUEUES}::test_what_the_fact_sheet_calls_legal_is_permitted",
    f"{_QUEUES}::test_what_the_fact_sheet_calls_illegal_is_refused_at_its_word",
)
_RECORDED = "tests/models/test_recorded.py::test_what_a_real_broker_did_is_permitted"
_GENERATED = "tests/models/test_generated.py::test_what_is_generated_is_permitted"

JUDGE: Rows = {
    "F-1 permitted": (
        "what may follow a failed attempt is permitted on each broker, and what may not is refused",
        (
            "tests/models/test_failed_attempts.py::test_what_may_follow_a_failed_attempt_is_permitted",
            "tests/models/test_failed_attempts.py::test_what_cannot_follow_a_failed_attempt_is_refused_at_its_word",
            "tests/models/test_failed_attempts.py::test_the_table_has_every_broker",
        ),
    ),
    "F-10": (
        "RabbitMQ(delivery_limit=None): what is given back goes to the back of the queue; with a limit it does not",
        (*_QUEUE_TESTS, _RECORDED, _GENERATED),
    ),
    "F-13": ("librdkafka: one batch overtakes a retry where max_in_flight is 1", (*_LOG_TESTS, _RECORDED, _GENERATED)),
    "F-15": ("a row that became visible behind an id cursor is never published", (*_LOG_TESTS, _RECORDED)),
    "F-18": ("a failed batch is overtaken by the others in flight, as often as it failed", _LOG_TESTS),
    "F-19": ("a shard that was never read is a parent, too", _LOG_TESTS),
    "F-20": ("a full window has no room for a new message, nor has one that is full of returns", _QUEUE_TESTS),
    "F-21": ("a complete trace that lists its puts has read the first of them", _LOG_TESTS),
    "F-22": ("a zombie runs nothing that was accepted after its eviction", (*_LOG_TESTS, _GENERATED)),
    "F-23": ("a receive of a FIFO queue has nothing that was sent after it", (*_QUEUE_TESTS, _GENERATED)),
    "F-24": (
        "a killed consumer acknowledges nothing, and another one does by XACK only",
        (
            f"{_QUEUES}::test_a_killed_consumer_acknowledges_nothing",
            f"{_QUEUES}::test_only_xack_lets_somebody_else_acknowledge",
            *_QUEUE_TESTS,
        ),
    ),
    "F-25": ("a worker of a queue table claims one row at a time", (*_QUEUE_TESTS, _GENERATED)),
    "F-26": (
        "RabbitMQStream(partitions=1) never grows",
        (*_LOG_TESTS, "tests/models/test_broker_facts.py::test_a_plain_stream_does_not_grow"),
    ),
    "recordings": (
        "what eleven real brokers did is permitted, and their models make it",
        (
            _RECORDED,
            "tests/models/test_recorded.py::test_what_a_real_broker_did_is_made_by_its_model",
            "tests/models/test_recorded.py::test_an_excuse_is_needed",
        ),
    ),
}

# C. Green, unknown, minimal.

VERDICTS: Rows = {}

# D. Words and use: reports.

REPORTS: Rows = {}

# D, continued: runs, values, and the first test that is written.

RUNS: Rows = {}

VALUES: Rows = {}

FIRST_TEST: Rows = {}

# E. Packages and platforms.

PACKAGES: Rows = {}

# F. What a stranger's file can do.

FILES: Rows = {}

# G. Tests that show nothing.

SHOWS_NOTHING: Rows = {}

# H. The strength of the tests themselves.

MUTANTS: Rows = {}

ALL: Rows = {
    **SEARCH_MAKES,
    **BROKERS_SETTINGS,
    **JUDGE,
    **VERDICTS,
    **REPORTS,
    **RUNS,
    **VALUES,
    **FIRST_TEST,
    **PACKAGES,
    **FILES,
    **SHOWS_NOTHING,
    **MUTANTS,
}
