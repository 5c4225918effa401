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
