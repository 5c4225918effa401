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

VERDICTS: Rows = {}

# D. Words and use: reports.

REPORTS: Rows = {}

# D, continued: runs, values, and the first test that is written.

RUNS: Rows = {}

VALUES: Rows = {}

FIRST_TEST: Rows = {
    "F-49": (
        "chaoskit init ties ids, versions and keys wherever they lie in the value, and says that it is a guess",
        ("tests/plugin/test_init_guesses.py::test_a_right_handler_passes_whose_ids_keys_and_versions_lie_deeper",),
    ),
    "F-53": (
        "what a broker stamps is tied to the broker's own, never to the event's id; where it stamps none, it is a TODO",
        (
            "tests/plugin/test_init_guesses.py::test_what_a_broker_stamps_is_never_the_event_s_own_id",
            "tests/plugin/test_init_guesses.py::test_what_this_broker_does_not_stamp_is_left_to_do",
        ),
    ),
    "F-54": (
        "chaoskit init names the framework that it has no recipe for, and writes no test",
        (
            "tests/plugin/test_init_guesses.py::test_a_framework_without_a_recipe_is_named_and_no_test_is_written",
            "tests/plugin/test_init_guesses.py::test_a_function_that_takes_a_value_gets_its_test_in_whatever_module_it_is",
        ),
    ),
}

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
