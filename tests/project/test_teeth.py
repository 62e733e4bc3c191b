"""The suites have teeth: with the product broken on purpose in one place, the check that guards it fails.

The breaks are in tests/support/breaking/breaks.py. The checks are those that the suites call on the intact product.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from breaking.breaks import BREAKS
from breaking.damage_checks import check_damage, check_hidden_row
from oracles import result_checks
from oracles.files_until import check_files_until
from oracles.journal_checks import check_crashes_lose_nothing, check_fencing
from oracles.routing_checks import check_border
from oracles.shard_checks import check_resumed, check_shards
from without_runner.generation_worlds import check_generations_begin
from without_runner.result_seeds import check_changes_meanwhile, check_results
from without_runner.scenarios import check_finality, check_late_copy, check_late_pane, check_publishing, check_scenarios

Check = Callable[[], object]

GUARDS: dict[str, Check] = {
    "merge_loses_a_state": partial(check_scenarios, (13, 12, 0)),
    "nonces_are_ignored": check_fencing,
    "acknowledges_before_it_writes": check_crashes_lose_nothing,
    "nothing_is_late": partial(check_scenarios, (8, 14, 1)),
    "the_border_of_lateness_is_off_by_one": check_border,
    "every_copy_counts": partial(check_scenarios, (2, 1)),
    "copies_within_a_batch_run_count": partial(check_scenarios, (2, 1)),
    "straddlers_are_not_named": check_late_copy,
    "late_ids_are_forgotten": check_late_copy,
    "the_base_is_unknown": partial(check_scenarios, (3, 1, 17)),
    "any_cached_state_will_do": partial(check_scenarios, (3, 0)),
    "tiles_are_cleared_too_early": check_late_pane,
    "restored_states_lose_an_entry": partial(check_scenarios, (3, 4, 7)),
    "restored_states_lose_a_part": partial(check_scenarios, (3, 4, 7)),
    "late_events_are_no_reason": partial(check_finality, (7, 1, 4, 8, 11)),
    "generations_begin_by_a_readers_start": check_generations_begin,
    "checksums_are_not_checked": check_damage,
    "hidden_rows_are_not_missed": check_hidden_row,
    "the_fastest_lane_tells": partial(check_finality, (7, 1, 4, 8, 11)),
    "files_tell_nothing": check_files_until,
    "conflicts_are_judged_by_shard": check_shards,
    "resumed_runs_lose_their_shards": check_resumed,
    "live_writes_make_nothing_due": partial(check_results, "fixed", (1, 3)),
    "repeated_writes_make_nothing_due": result_checks.check_repeated_writes,
    "due_rows_have_a_transaction_of_their_own": result_checks.check_a_writer_dies_anywhere,
    "moves_make_nothing_due": partial(check_results, "fixed", (0, 3)),
    "promotions_make_nothing_due": result_checks.check_promoted,
    "every_mark_is_the_same": check_changes_meanwhile,
    "only_panes_drain": partial(check_results, "fixed", (1,)),
    "panes_say_the_timing": result_checks.check_panes,
    "revisions_are_not_compared": partial(check_results, "fixed", (12, 21)),
    "last_revisions_are_not_compared": result_checks.check_overtaken,
    "publications_are_not_compared": result_checks.check_overtaken,
    "timing_falls": partial(check_results, "fixed", (1, 2)),
    "timing_alone_is_not_sent": result_checks.check_timing_rises,
    "batch_makes_all_final": partial(check_results, "fixed", range(6)),
    "the_live_watermark_makes_final": result_checks.check_final,
    "any_version_takes_the_lease": result_checks.check_served_alone,
    "any_version_drains": result_checks.check_served_alone,
    "taken_messages_are_replaced": partial(check_results, "fixed", (0, 5)),
    "early_messages_pile_up": result_checks.check_early_messages_wait,
    "replacements_count_on": partial(check_results, "fixed", range(6)),
    "the_outbox_has_a_transaction_of_its_own": result_checks.check_a_deliverer_dies_anywhere,
    "fences_are_not_compared": result_checks.check_zombies,
    "holders_share_a_fence": result_checks.check_zombies,
    "leases_keep_nobody_waiting": result_checks.check_leases,
    "messages_are_forgotten_before_they_are_sent": result_checks.check_leases,
    "keys_are_made_when_messages_are_taken": partial(check_results, "fixed", range(6)),
    "keys_are_of_values_alone": result_checks.check_timing_rises,
    "nudges_are_windowed_as_results_are": result_checks.check_no_fan_out,
    "each_key_is_a_nudge": result_checks.check_no_fan_out,
    "every_open_window_is_early": result_checks.check_sliding_is_early_once,
    "no_budget_is_held": result_checks.check_sliding_is_early_once,
}
"""For each break the check that must find it."""


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    BREAKS[name](monkeypatch)
    with pytest.raises(AssertionError):
        GUARDS[name]()


def test_a_torn_pointer_is_found() -> None:
    with pytest.raises(AssertionError, match="neither the old one nor the new one"):
        check_publishing(tear=True)


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check_fencing, id="fencing"),
        pytest.param(check_crashes_lose_nothing, id="crashes"),
        pytest.param(check_border, id="border"),
        pytest.param(check_late_copy, id="late copy"),
        pytest.param(check_late_pane, id="late pane"),
        pytest.param(check_publishing, id="pointer"),
        pytest.param(check_generations_begin, id="generations"),
        pytest.param(check_damage, id="damage"),
        pytest.param(check_hidden_row, id="hidden rows"),
        pytest.param(check_files_until, id="files"),
        pytest.param(check_changes_meanwhile, id="results"),
        *(pytest.param(check, id=name) for name, check in result_checks.checks().items()),
    ],
)
def test_the_intact_product_passes(check: Check) -> None:
    """Else a check that always fails would look like teeth; the scenarios are run by tests/pipelines/test_parity.py."""
    check()
