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

FIRST_TEST: Rows = {}

# E. Packages and platforms.

PACKAGES: Rows = {}

# F. What a stranger's file can do.

FILES: Rows = {
    "F-63": (
        "a failure is saved on file systems and platforms without hard links",
        ("tests/strangers/test_doors.py::test_a_failure_is_saved_where_there_are_no_hard_links",),
    ),
    "F-70": (
        "--as-test writes a call only for a class whose source shows what it does, and imports nothing for a name",
        (
            "tests/strangers/test_written.py::test_a_name_in_a_file_is_never_called_or_imported",
            "tests/strangers/test_written.py::test_ten_thousand_hostile_values_are_written_and_run_nothing",
            "tests/strangers/test_written.py::test_a_class_whose_source_shows_what_a_call_does_is_called",
            "tests/strangers/test_written.py::test_classes_are_looked_for_where_the_test_is_sure_to_import_them",
            "tests/strangers/test_written.py::test_a_function_that_is_no_chaos_test_is_not_called",
        ),
    ),
    "F-71": (
        "a repro file makes pytest import no file that it does not collect by itself",
        (
            "tests/strangers/test_doors.py::test_no_file_makes_pytest_import_what_it_does_not_collect",
            "tests/strangers/test_doors.py::test_a_function_that_is_imported_already_is_not_for_a_file_to_call",
        ),
    ),
    "F-72": (
        "whatever a bad file raises is one line, and the run, the search and the other files go on",
        (
            "tests/strangers/test_doors.py::test_whatever_reading_raises_is_one_line",
            "tests/strangers/test_doors.py::test_whatever_playing_raises_is_one_answer",
            "tests/strangers/test_doors.py::test_a_run_goes_on_whatever_is_saved_or_shared",
            "tests/strangers/test_mutants.py::test_no_hostile_file_runs_or_imports_anything_and_each_is_one_line",
        ),
    ),
    "F-73": (
        "what a file may ask for is bounded, and it is told by which bound",
        (
            "tests/strangers/test_doors.py::test_a_file_that_asks_for_too_much_is_told_how_much_there_is",
            "tests/strangers/test_doors.py::test_the_most_that_a_file_may_set_is_made_in_no_time",
            "tests/strangers/test_doors.py::test_a_link_to_what_never_ends_is_not_followed",
            "tests/strangers/test_doors.py::test_what_a_corpus_has_too_much_of_is_not_read",
        ),
    ),
    "F-74": (
        "a zip file or a directory of too much is refused before anything of it is unpacked",
        (
            "tests/strangers/test_doors.py::test_a_small_zip_file_that_becomes_huge_is_not_unpacked",
            "tests/strangers/test_doors.py::test_files_of_a_directory_have_the_same_limit",
        ),
    ),
    "F-75": (
        "nothing that a stranger wrote does anything in a terminal or in a log of GitHub",
        (
            "tests/strangers/test_doors.py::test_nothing_that_is_printed_is_obeyed",
            "tests/strangers/test_doors.py::test_names_in_a_zip_file_are_only_shown",
            "tests/strangers/test_doors.py::test_nothing_prints_but_through_what_makes_it_harmless",
        ),
    ),
    "F-80": (
        "workflows name actions by commit and chaoskit by version, and keep no credentials",
        (
            "tests/strangers/test_workflows.py::test_every_action_is_named_by_its_commit",
            "tests/strangers/test_workflows.py::test_the_version_of_chaoskit_is_the_one_that_wrote_the_workflow",
        ),
    ),
}

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
