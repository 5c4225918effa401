"""Which test shows which finding: each row was found wrong with version 0.1 and is held right by the tests it names.

`tests/test_findings.py` checks that each of them exists. A row is `name: (what a user sees now, tests)`.
"""

Rows = dict[str, tuple[str, tuple[str, ...]]]

# A. What the search could not make.

_FAILED = "tests/quality/test_failed_attempts.py"
SEARCH_MAKES: Rows = {
    "F-1": (
        "an attempt that fails is overtaken where the broker lets others go on, and only there",
        (
            f"{_FAILED}::test_an_inbox_without_versions_is_broken_by_a_failed_attempt_alone",
            f"{_FAILED}::test_an_inbox_without_versions_holds_where_a_failed_attempt_keeps_its_place",
            f"{_FAILED}::test_an_inbox_with_versions_is_never_broken_by_failed_attempts",
            "tests/models/test_recorded.py::test_what_a_real_broker_did_is_made_by_its_model",
        ),
    ),
    "F-1b": (
        "a handler that raises meets the same rule, in the same place",
        (
            f"{_FAILED}::test_a_handler_that_raises_meets_the_rule_of_a_failed_attempt",
            f"{_FAILED}::test_a_lambda_batch_that_raises_comes_again_whole",
        ),
    ),
    "F-2": (
        "a slow consumer holds all that it has fetched",
        (
            f"{_FAILED}::test_a_slow_consumer_holds_more_than_one_message",
            "tests/models/test_permitted_is_made.py::test_what_is_permitted_is_made",
        ),
    ),
    "F-3": (
        "what was shown, refused and then dropped is missed",
        (
            f"{_FAILED}::test_what_was_refused_and_then_dropped_is_missed",
            f"{_FAILED}::test_what_was_refused_and_is_shown_again_is_not_missed",
            "tests/quality/test_every_broker.py::test_a_handler_that_raises_is_wrong_where_what_it_refuses_is_dropped",
        ),
    ),
    "F-5": (
        "a failed attempt that the settings skip is lost, and a pass says so",
        (
            f"{_FAILED}::test_a_failed_attempt_that_the_settings_skip_is_lost",
            f"{_FAILED}::test_a_pass_says_that_failed_attempts_are_lost",
        ),
    ),
}

# B. Facts about brokers.

BROKERS_SETTINGS: Rows = {
    "F-4": (
        "a pass names the setting that loses and what it was compared without; loss='violation' finds it in one event",
        (
            "tests/values/test_loss.py::test_a_pass_says_what_it_was_compared_without",
            "tests/values/test_loss.py::test_a_loss_is_found_with_one_event_and_one_fault",
            "tests/plugin/test_terms.py::test_the_line_of_a_pass_says_what_was_left_out",
            "tests/plugin/test_terms.py::test_the_summary_of_a_job_says_what_was_left_out",
        ),
    ),
    "F-6": (
        "a row that becomes visible late is lost to who keeps the last position",
        (
            "tests/models/test_settings.py::test_a_row_that_becomes_visible_late_is_lost_to_who_keeps_the_last_position",
            "tests/models/test_table_subscription.py::test_the_subscription_of_the_page_fails_as_it_says",
        ),
    ),
    "F-11": (
        "auto_commit, the default of confluent-kafka and aiokafka, loses the record in hand",
        (
            "tests/models/test_settings.py::test_a_background_commit_loses_the_record_in_hand",
            "tests/models/test_settings.py::test_the_clients_that_commit_so_by_default_are_named",
            "tests/models/test_settings.py::test_the_rest_of_a_consume_is_lost_with_it",
        ),
    ),
    "F-12": (
        'with auto_offset_reset="latest" the first records of a new partition are never read',
        (
            "tests/models/test_settings.py::test_the_first_records_of_a_new_partition_are_never_read",
            "tests/models/test_settings.py::test_a_new_partition_is_read_from_wherever_its_end_was",
        ),
    ),
    "F-14": (
        "a countdown longer than visibility_timeout runs twice, also when it is acknowledged early",
        ("tests/models/test_settings.py::test_a_countdown_longer_than_the_visibility_timeout_runs_twice",),
    ),
    "F-16": (
        "limits of a stream or queue lose what they remove; what is terminated never comes again",
        (
            "tests/models/test_settings.py::test_a_limit_loses_what_it_removes",
            "tests/models/test_settings.py::test_what_is_terminated_is_never_taken_later",
        ),
    ),
    "F-17": (
        "a dead letter that is sent again within 5 minutes is swallowed, one that a move task redrives is not",
        (
            "tests/models/test_settings.py::test_a_fifo_queue_loses_by_each_of_its_settings",
            "tests/models/test_settings.py::test_what_only_a_move_task_brings_back_is_not_lost",
        ),
    ),
    "F-26": (
        "a plain stream never grows",
        ("tests/models/test_growth.py::test_a_plain_stream_stays_one",),
    ),
    "F-27": (
        "growth=False is a setting, and without={Rehash} leaves a kind out",
        (
            "tests/models/test_growth.py::test_a_fixed_count_holds_what_growth_breaks",
            "tests/values/test_without.py::test_the_others_are_tried_and_these_are_not",
        ),
    ),
    "F-28": (
        "Celery runs over Redis, RabbitMQ or SQS, each with its own words",
        (
            "tests/models/test_settings.py::test_the_transports_speak_their_own_words",
            "tests/models/test_settings.py::test_early_acknowledgement_runs_nothing_twice_but_on_sqs",
        ),
    ),
    "F-56": (
        "poison names what can never be handled, and the error without it names the option",
        (
            "tests/values/test_poison.py::test_what_can_never_be_handled_is_expected_nowhere",
            "tests/values/test_poison.py::test_without_poison_the_error_names_it",
            "tests/values/test_poison.py::test_a_saved_failure_replays_with_the_poison_of_its_test",
        ),
    ),
}

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

BAD = "tests/values/test_bad_handlers.py"
LIMIT = "tests/plugin/test_limit.py"

RUNS: Rows = {
    "F-41": (
        "what a handler writes goes to an open null device, bytes and all",
        (f"{BAD}::test_a_handler_may_write_bytes_to_standard_output_and_ask_for_its_number",),
    ),
    "F-47": (
        "a failure of what the handler calls is told to be `Fail`, which chaoskit makes itself",
        (
            f"{BAD}::test_a_failure_of_what_the_handler_calls_is_told_to_be_a_fault_that_chaoskit_makes",
            f"{BAD}::test_any_other_is_a_rejection_to_be_caught",
        ),
    ),
    "F-51": (
        "30 s a run by default, at every door; a timeout around the test ends it as that means to",
        (
            f"{LIMIT}::test_an_ordinary_run_has_a_limit_too_and_a_c_function_that_never_returns_ends_the_process",
            f"{LIMIT}::test_a_timeout_of_pytest_timeout_ends_the_test_as_that_means_it_to",
            f"{LIMIT}::test_a_limit_holds_beside_an_outer_timeout_that_is_longer",
            f"{BAD}::test_a_scenario_that_hangs_is_violated_and_nobody_waits_for_it",
            f"{BAD}::test_a_handler_that_is_slower_altogether_than_the_limit_of_a_run_is_never_flagged",
        ),
    ),
    "F-57": (
        "a long test tells how it stands, and ends after a minute that is said",
        (
            "tests/plugin/test_time.py::test_a_slow_test_ends_after_a_time_that_is_said_and_tells_a_log_how_it_stands",
            "tests/plugin/test_time.py::test_a_terminal_shows_how_a_long_test_stands_and_forgets_it",
            "tests/plugin/test_time.py::test_the_default_time_only_cuts_off_between_streams",
        ),
    ),
    "F-58": (
        "a stale state comes with the recipe for Django, SQLAlchemy and FastAPI",
        (f"{BAD}::test_a_stale_state_comes_with_the_recipe_of_the_framework_that_is_there",),
    ),
    "F-59": (
        "messages begin at the present hour, which the seed and the file keep, or when somebody says",
        (
            "tests/values/test_epoch.py::test_a_seed_that_nobody_chose_begins_at_the_present_hour_and_ever_after_at_that_hour",
            "tests/values/test_epoch.py::test_what_somebody_says_is_what_the_messages_say",
            "tests/values/test_epoch.py::test_a_file_keeps_when_it_was_and_is_replayed_then",
            "tests/values/test_epoch.py::test_a_file_that_says_nothing_is_of_november_2023",
        ),
    ),
    "F-76": (
        "a handler that swallows what ends it is ended line by line, sync and async",
        (
            f"{BAD}::test_a_handler_that_swallows_all_that_it_is_told_is_found_and_shrunk",
            f"{LIMIT}::test_a_coroutine_that_swallows_everything_does_not_keep_the_loop_of_a_plugin",
            "tests/fuzz/test_trouble.py::test_a_handler_that_hangs_is_found_with_the_step_at_which_it_does",
        ),
    ),
    "F-77": (
        "a handler that replaces the clock stops nobody's",
        (
            "tests/plugin/test_time.py::test_a_clock_that_jumps_changes_nothing",
            "tests/fuzz/test_trouble.py::test_a_clock_that_jumps_changes_nothing",
        ),
    ),
    "F-78": (
        "SystemExit in a handler is a finding, with its schedule",
        (
            f"{BAD}::test_a_handler_that_ends_its_process_is_a_finding_shrunk_to_one_event_that_comes_twice",
            f"{BAD}::test_one_that_does_so_in_order_already_is_an_error_that_names_the_event",
            f"{BAD}::test_its_file_says_fixed_once_it_is_repaired_also_with_messages_behind_it",
        ),
    ),
    "F-79": (
        "a child that comes back from the handler ends there, and is told",
        (
            f"{BAD}::test_a_child_that_comes_back_from_the_handler_ends_there_and_is_told",
            f"{BAD}::test_a_child_that_ends_by_itself_is_no_finding",
        ),
    ),
    "F-93": (
        "a handler whose work is not done when it returns is named, at any message",
        (
            f"{BAD}::test_a_handler_that_returns_what_has_not_run_is_named_at_whichever_message_it_is",
            f"{BAD}::test_in_an_async_test_too",
            f"{BAD}::test_an_async_handler_that_leaves_tasks_running_is_told_which",
            f"{BAD}::test_tasks_that_the_handler_or_the_test_waits_for_are_none_of_these",
        ),
    ),
}

VALUES: Rows = {
    "F-40": (
        "a broker of one's own is replayed with the class that the test names; one that extends none is refused",
        (
            "tests/plugin/test_values.py::test_each_is_replayed_and_is_fixed_once_it_is",
            "tests/plugin/test_values.py::test_whoever_only_reads_the_file_sees_the_words_of_the_broker_below",
            "tests/plugin/test_values.py::test_a_file_with_a_broker_that_cannot_be_is_refused",
            "tests/plugin/test_values.py::test_a_plain_function_names_no_broker_of_its_own",
            "tests/plugin/test_values.py::test_a_broker_that_extends_none_is_refused_before_anything_runs",
        ),
    ),
    "F-50": (
        "SimpleNamespace has an encoding, and chaoskit.codec is there after import chaoskit",
        (
            "tests/plugin/test_values.py::test_the_files_name_classes_and_brokers",
            "tests/values/test_codec.py::test_the_codec_is_there_after_import_chaoskit_alone",
        ),
    ),
    "F-52": (
        "values of pydantic, msgspec and named tuples are saved; of others what can be is, with the line that helps",
        (
            "tests/plugin/test_values.py::test_each_is_found_shrunk_and_saved",
            "tests/plugin/test_values.py::test_each_is_replayed_and_is_fixed_once_it_is",
            "tests/plugin/test_failure.py::test_a_value_without_an_encoding_is_saved_as_far_as_it_can_be",
            "tests/values/test_codec.py::test_a_model_of_pydantic_comes_back_as_it_was_handled",
            "tests/values/test_codec.py::test_the_line_that_the_error_shows_works_as_it_stands",
        ),
    ),
}

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

FILES: Rows = {
    "F-63": (
        "a failure is saved on file systems and platforms without hard links",
        ("tests/strangers/test_doors.py::test_a_failure_is_saved_where_there_are_no_hard_links",),
    ),
    "F-70": (
        "--as-test writes a call only for a class whose source shows what it does, and imports nothing for a name",
        (
            "tests/strangers/test_written.py::test_a_name_in_a_file_is_never_called_or_imported",
            "tests/strangers/test_written.py::test_thousands_of_hostile_values_are_written_and_run_nothing",
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
            "tests/strangers/test_doors.py::test_a_job_goes_on_whatever_is_saved_or_shared",
            "tests/strangers/test_doors.py::test_a_strangers_file_in_the_way_of_a_failure_hides_it_from_nobody",
            "tests/strangers/test_mutants.py::test_no_hostile_file_runs_or_imports_anything_and_each_is_one_line",
        ),
    ),
    "F-73": (
        "what a file may ask for is bounded, and it is told by which bound",
        (
            "tests/strangers/test_doors.py::test_a_file_that_asks_for_too_much_is_told_how_much_there_is",
            "tests/strangers/test_doors.py::test_the_most_that_a_file_may_set_is_made_in_no_time",
            "tests/strangers/test_doors.py::test_a_link_to_what_never_ends_is_not_followed",
            "tests/strangers/test_doors.py::test_a_long_text_is_made_harmless_in_no_time",
            "tests/strangers/test_doors.py::test_a_long_name_of_a_test_is_looked_at_in_no_time",
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

SHOWS_NOTHING: Rows = {
    "F-91": (
        "a state that shows only which keys there are is unknown, and no handler of the zoo is",
        (
            "tests/quality/test_shows_nothing.py::test_a_state_that_shows_only_which_keys_there_are_is_unknown",
            "tests/quality/test_shows_nothing.py::test_no_handler_of_the_zoo_is_unknown",
        ),
    ),
    "F-90": (
        "objects are compared field by field and rows column by column, where their == looks at the key only, too",
        (
            "tests/values/test_entities.py::test_a_table_of_django_that_counts_twice_is_found",
            "tests/values/test_entities.py::test_a_wallet_of_entities_that_counts_twice_is_found",
            "tests/values/test_entities.py::test_what_equals_everything_is_refused",
            "tests/values/test_entities.py::test_what_a_class_rightly_calls_equal_is_the_same",
            "tests/values/test_entities.py::test_a_test_of_objects_that_stamp_themselves_is_held",
        ),
    ),
    "F-92": (
        "a store that keeps what other streams left is an error",
        (
            "tests/values/test_freshness.py::test_what_a_store_keeps_of_other_streams_is_noticed",
            "tests/values/test_freshness.py::test_a_store_that_is_emptied_for_each_run_is_held",
            "tests/values/test_freshness.py::test_a_store_that_refuses_what_it_has_is_told_as_one_that_is_still_there",
        ),
    ),
}

# H. The strength of the tests themselves.

MUTANTS: Rows = {
    "F-95": (
        "a list is no tuple, and differs from a number",
        ("tests/values/test_state.py::test_these_states_differ_and_the_first_path_says_where",),
    ),
    "F-96": (
        "copies do not make two numberings of one",
        (
            "tests/models/test_numbering.py::test_a_number_that_two_partitions_have_is_counted_in_each",
            "tests/models/test_numbering.py::test_a_copy_in_another_partition_does_not_make_it_two_numberings",
        ),
    ),
    "F-97": (
        "a test that was never searched is unknown; a run that hangs says where",
        (
            "tests/fuzz/test_screen.py::test_each_test_has_its_word_in_the_table",
            "tests/values/test_where_it_hung.py::test_where_a_run_hangs_is_told",
        ),
    ),
    "F-98": (
        "a restart takes the memory of its consumer, and of no other one",
        (
            "tests/quality/test_restarts.py::test_memory_of_the_process_is_lost_by_a_restart",
            "tests/quality/test_restarts.py::test_memory_outside_of_the_process_is_kept",
            "tests/quality/test_restarts.py::test_only_the_consumer_that_restarts_forgets",
            "tests/quality/test_restarts.py::test_each_restart_makes_a_new_handler",
        ),
    ),
    "F-99": (
        "tests of jobs take the time that the machine needs",
        (
            "tests/fuzz/test_trouble.py::test_a_handler_that_ends_its_process_is_found_with_the_step_at_which_it_did",
            "tests/fuzz/test_trouble.py::test_a_handler_that_ends_its_process_in_order_already_is_an_error",
        ),
    ),
    "F-100": (
        "where SIGINT is ignored children get it all the same, and a job says how it is stopped",
        (
            "tests/fuzz/test_trouble.py::test_what_a_test_has_started_ends_with_it_and_its_children_can_be_interrupted",
            "tests/fuzz/test_trouble.py::test_a_job_that_ignores_ctrl_c_says_how_it_is_stopped_and_is",
        ),
    ),
}

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
