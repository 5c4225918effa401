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

REPORTS: Rows = {
    "F-29": (
        "on a webhook an event that arrives later is Overtake, in the provider's words, and nothing restarts",
        (
            "tests/reports/test_words.py::test_what_arrives_later_on_a_webhook_is_one_kind_in_the_providers_words",
            "tests/reports/test_words.py::test_a_handler_that_compares_versions_is_right_on_a_webhook",
        ),
    ),
    "F-42": (
        "a report is as wide as the terminal, and shows the fields that differ or were read first",
        (
            "tests/reports/test_words.py::test_a_report_is_as_wide_as_it_may_be_and_shows_the_field_that_differs",
            "tests/reports/test_words.py::test_of_values_that_are_alike_the_field_that_is_read_first_is_shown",
            "tests/reports/test_words.py::test_pytest_reports_in_the_width_of_its_terminal_also_from_xdists_workers",
        ),
    ),
    "F-43": (
        "what the handler raised, whether that changed anything, and the batch that it brings back",
        (
            "tests/reports/test_words.py::test_an_exception_and_that_it_changed_nothing_are_told",
            "tests/reports/test_words.py::test_a_batch_that_comes_again_is_told_with_the_setting_that_repairs_it",
            "tests/reports/test_words.py::test_where_only_what_failed_comes_again_no_batch_is_told",
        ),
    ),
    "F-44": (
        "what a restart destroyed, and advice by what the state has",
        (
            "tests/reports/test_words.py::test_the_advice_after_a_restart_follows_what_the_state_has",
            "tests/reports/test_words.py::test_an_older_value_that_comes_again_asks_for_a_comparison",
            "tests/reports/test_words.py::test_a_handler_that_is_not_made_anew_has_lost_nothing",
        ),
    ),
    "F-45": (
        "that a handler's memory survived restarts is said once, and only where it has one",
        (
            "tests/reports/test_words.py::test_that_memory_survived_is_said_where_there_is_one_and_a_restart",
            "tests/reports/test_words.py::test_of_many_tests_it_is_said_once",
        ),
    ),
    "F-46": (
        "how many schedules it took; the fields of a message, and a dependent stream, in the README",
        (
            "tests/reports/test_words.py::test_a_failing_report_says_how_many_schedules_it_took",
            "tests/test_documents.py::test_the_readme_names_every_field_of_a_message",
            "tests/test_documents.py::test_the_readmes_dependent_stream_can_be_handled_in_order",
        ),
    ),
    "F-48": (
        "pytest's own words, where it stops a replay",
        (
            "tests/plugin/test_words.py::test_two_modules_that_cannot_be_imported_together_are_told_in_pytests_words",
            "tests/plugin/test_words.py::test_why_pytest_stopped_is_said_in_its_own_words",
        ),
    ),
    "F-55": (
        "what raises in order is answered with valid= and a stream of dependent events",
        ("tests/plugin/test_words.py::test_a_stream_that_no_producer_sends_is_answered_with_one_that_it_does",),
    ),
    "F-62 show": (
        "show takes the files, directories and zip files that replay takes",
        (
            "tests/reports/test_show.py::test_show_takes_what_replay_takes",
            "tests/reports/test_show.py::test_of_several_files_each_report_has_a_file",
        ),
    ),
}

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
