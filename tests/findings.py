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

PACKAGES: Rows = {
    "F-60": (
        "the oldest versions that are allowed are ones that the tests ran with, in every run of CI",
        ("tests/test_packages.py::test_each_dependency_has_a_floor_and_ci_installs_exactly_that",),
    ),
    "F-61": (
        "the source archive is the whole repository, and an index shows the README without dead links",
        (
            "tests/test_packages.py::test_the_source_archive_is_the_repository",
            "tests/test_packages.py::test_an_index_shows_the_readme_without_links_that_lead_nowhere",
            "tests/test_packages.py::test_with_an_address_relative_links_lead_there",
        ),
    ),
    "F-62": (
        "JUnit of a job has one case a test, with the report as its text",
        (
            "tests/fuzz/test_junit.py::test_junit_has_one_case_a_test",
            "tests/fuzz/test_junit.py::test_its_text_is_the_report_and_no_source_of_ours",
            "tests/fuzz/test_junit.py::test_it_says_of_the_others_what_the_summary_says",
        ),
    ),
    "F-64": (
        "what a profile's max_examples does not do, and what does it, is said in the docstring and in --help",
        (
            "tests/plugin/test_options.py::test_that_a_profile_does_not_count_is_said_where_one_looks",
            "tests/plugin/test_options.py::test_settings_give_the_number_of_streams_and_a_profile_does_not",
        ),
    ),
    "F-65": (
        "CI runs the fast part of the suite on every Python that is there, and says which",
        ("tests/test_packages.py::test_ci_tests_each_python_that_is_there_once_and_needs_none",),
    ),
}

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
