"""Which test shows which finding: each row was found wrong with version 0.1 and is held right by the tests it names.

`tests/test_findings.py` checks that each of them exists. A row is `name: (what a user sees now, tests)`.
"""

Rows = dict[str, tuple[str, tuple[str, ...]]]

# A. What the search could not make.

SEARCH_MAKES: Rows = {}

# B. Facts about brokers.

BROKERS_SETTINGS: Rows = {}

# B, continued: what the judge of traces permits.

JUDGE: Rows = {}

# C. Green, unknown, minimal.

VERDICTS: Rows = {
    "F-30": (
        "streams of one message a key, or of one payload, hold, and the line names what they left out",
        ("tests/quality/test_shows_nothing.py::test_streams_of_one_shape_hold_and_the_line_names_what_they_left_out",),
    ),
    "F-31": (
        "of faults that do the same the mildest is shown, and the other kinds are named",
        (
            "tests/quality/test_minimal.py::test_a_bug_of_order_is_shown_as_one_of_order",
            "tests/quality/test_minimal.py::test_a_second_delivery_is_shown_without_restart_or_copy",
        ),
    ),
    "F-32": (
        "the minimal stream is one that the strategy makes, or is called a part, and its replay falls back",
        (
            "tests/quality/test_minimal.py::test_the_minimal_stream_is_one_that_the_strategy_makes",
            "tests/quality/test_minimal.py::test_of_a_literal_list_the_part_is_said_to_be_one_and_replay_falls_back",
        ),
    ),
    "F-33": (
        "what works in threes is shrunk by threes",
        ("tests/quality/test_minimal.py::test_what_works_in_threes_is_shrunk_by_threes",),
    ),
    "F-34": (
        "a saved repro whose fault is not asked for any more is no longer possible",
        ("tests/plugin/test_failure.py::test_a_saved_repro_whose_fault_is_not_asked_for_is_no_longer_possible",),
    ),
    "F-35": (
        "what does not hold in order is a violation with its stream, on every broker",
        (
            "tests/quality/test_in_order.py::test_what_does_not_hold_in_order_is_a_violation_on_every_broker",
            "tests/plugin/test_failure.py::test_what_does_not_hold_in_order_is_reported_saved_replayed_and_fixed",
        ),
    ),
    "F-36": (
        "a second bug of the same shape is saved beside the first",
        (
            "tests/plugin/test_failure.py::test_a_second_bug_of_the_same_shape_is_saved_beside_the_first",
            "tests/values/test_repro.py::test_another_failure_of_the_same_shape_is_another_file",
        ),
    ),
    "F-37": (
        "a consumer that commits when it flushes: the docs say how it is given, and then it is not flagged",
        ("tests/quality/test_minimal.py::test_a_handler_that_keeps_its_buffer_is_not_flagged",),
    ),
    "F-94": (
        "a small number of schedules meets two values under one key",
        ("tests/quality/test_shows_nothing.py::test_few_schedules_meet_two_values_under_one_key",),
    ),
}

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

SHOWS_NOTHING: Rows = {
    "F-91": (
        "a state that shows only which keys there are is unknown, and no handler of the zoo is",
        (
            "tests/quality/test_shows_nothing.py::test_a_state_that_shows_only_which_keys_there_are_is_unknown",
            "tests/quality/test_shows_nothing.py::test_no_handler_of_the_zoo_is_unknown",
        ),
    ),
}

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
