"""All commands of `tandem`, in the order of help."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tandem.command_list.entry import Entry, Flags
from tandem.command_list.groups import ALERTS, DEADLETTERS, FLINK, KEYS, PUBSUB, RESULTS, STORE, TEMPLATE
from tandem.runners.options.flags.commands import COMMANDS as PIPELINES

__all__ = ["COMMANDS"]


def _pipeline(name: str) -> Entry:
    about = PIPELINES[name]
    return Entry(name, f"running.pipelines.{name}", about.about, about.example, Flags.PIPELINE)


_RUN: Final = (
    Entry(
        "check",
        "running.pipelines.check",
        "Check definitions against their Avro schemas; nothing is run.",
        "tandem check examples/clicks/clicks.yaml",
    ),
    Entry(
        "verify",
        "running.verify.verify",
        "Prove on a sample that batch, live and every mix of them give one answer, whatever comes, fails and is late.",
        "tandem verify examples/clicks/clicks.yaml today.jsonl",
    ),
    Entry(
        "backtest",
        "running.backtest.backtest",
        "Judge all windows of the past by rules, and say how much was judged, and what would have alerted.",
        "tandem backtest clicks.yaml '2026-01-*.parquet' --rules rules.yaml",
    ),
    _pipeline("live"),
    _pipeline("backfill"),
    _pipeline("publish"),
    _pipeline("windowed"),
    Entry(
        "plan",
        "running.plan.plan",
        "Say what the chosen runner can't do with a pipeline; takes all flags of the pipeline, and starts nothing.",
        "tandem plan backfill --runner FlinkRunner --definition clicks.yaml --files today.jsonl",
        Flags.BEAM_TOO,
    ),
    Entry(
        "deliver",
        "delivery.deliver.deliver",
        "Send results and alerts to their outputs, one deliverer a definition at a time; others wait until it ends.",
        "tandem deliver clicks --once",
    ),
    Entry(
        "emulator",
        "running.pipelines.emulator",
        "Serve the embedded Pub/Sub; other commands find it through PUBSUB_EMULATOR_HOST.",
        "tandem emulator --port 8085",
    ),
)
_ASK: Final = (
    Entry(
        "query",
        "asking.query.query",
        "Answer: the measures of a key, or of all keys, over a window, with a certificate of what they are made of.",
        "tandem query clicks --key home --from 2026-01-04 --to 2026-01-06",
    ),
    Entry(
        "baselines",
        "asking.baselines.baselines",
        "Show what is usual for a key, window by window, by batch alone, beside what it had, and its alerts.",
        "tandem baselines clicks --key home --rule busy --plot busy.html",
    ),
    Entry(
        "export",
        "asking.export.export",
        "Write the answers of every key and step that holds an event, all of one instant, sorted by key and time.",
        "tandem export clicks --from 2026-01-04 --to 2026-01-06 --step 1h --out clicks.csv",
    ),
    Entry(
        "sql",
        "asking.sql.sql",
        "Ask with SQL: answers of any window, events, late, dead_letters, results, generations, publications, drift.",
        "tandem sql \"SELECT page, start, clicks FROM answers('clicks', '1h')\"",
    ),
    Entry(
        "iceberg",
        "asking.iceberg.iceberg",
        "Write the answers of every key and step into an Iceberg table, in one commit that replaces what was there.",
        "tandem iceberg clicks --table shop.clicks --warehouse lake --step 1h",
    ),
    Entry(
        "bigquery",
        "asking.bigquery.bigquery",
        "Load the answers of every key and step into a table of BigQuery, in one job that replaces what was there.",
        "tandem bigquery clicks --table my-project.shop.clicks --step 1h",
    ),
    Entry(
        "status",
        "operating.store.status",
        "Show what is served, the runs, every generation's conservation, and who holds up a seal.",
        "tandem status clicks",
    ),
    Entry(
        "publications",
        "operating.store.publications",
        "List what was served under a name, newest first.",
        "tandem publications clicks",
    ),
    Entry(
        "drift",
        "operating.reconcile.drift",
        "Show how far live was from batch over time, and why: one row a reconciled generation and tile.",
        "tandem drift clicks --html drift.html",
    ),
    Entry(
        "receipts",
        "operating.reconcile.receipts",
        "List what reconciling found and repaired, newest first; or one receipt with every repaired key.",
        "tandem receipts clicks 1",
    ),
    Entry(
        "diff",
        "operating.definitions.diff",
        "Compare the answers of two versions over the same events; exit code 0 if they are equal, 1 if not.",
        "tandem diff clicks clicks-2.yaml",
    ),
    Entry(
        "serve",
        "serving.serve.serve",
        "Serve answers over HTTP, for programs as an API and for people as pages, until SIGTERM or Ctrl-C.",
        "tandem serve --port 8321",
    ),
)
_OPERATE: Final = (
    Entry(
        "monitoring",
        "serving.monitoring.monitoring",
        "Write alert rules for Prometheus, promtool's tests of them, and a dashboard for Grafana into a folder.",
        "tandem monitoring monitoring",
    ),
    Entry(
        "doctor",
        "operating.doctor.doctor",
        "Say what is missing or wrong on this machine and in this installation, each with its remedy.",
        "tandem doctor --home tandem-data",
    ),
    Entry(
        "promote",
        "operating.definitions.promote",
        "Serve another version in one step; refused unless it holds all that is served now.",
        "tandem promote clicks-2.yaml",
    ),
    Entry(
        "rebuild",
        "operating.rebuild.rebuild",
        "Make a lost, damaged or older view store anew from journal and files; the one there is kept beside it.",
        "tandem rebuild clicks.yaml --files '2026-01-*.parquet'",
    ),
    Entry(
        "roll-back",
        "operating.store.roll_back",
        "Serve the batch run of an older publication again; refused where an answer would lose events.",
        "tandem roll-back clicks 3",
    ),
    Entry(
        "reconcile",
        "operating.reconcile.reconcile",
        "Hold batch against live and the journal, and repair it, with a receipt (takes Beam's flags).",
        "tandem reconcile clicks --dry-run",
        Flags.BEAM_TOO,
    ),
    Entry(
        "drop",
        "operating.definitions.drop",
        "Remove all runs of a version that isn't served; a pipeline that still writes it fails at its next write.",
        "tandem drop clicks-1.yaml",
    ),
    Entry(
        "prune",
        "operating.store.prune",
        "Remove what the newest publications don't need; older ones can't be rolled back to after that.",
        "tandem prune clicks --keep 3",
    ),
    Entry(
        "compact",
        "operating.compact.compact",
        "Join files and rows of many batch runs into few files; answers stay as they are.",
        "tandem compact clicks --dry-run",
    ),
    Entry(
        "private",
        "operating.private.private",
        "Let nobody but you, or you and a group, reach what is in a home; what comes later is made the same way.",
        "tandem private --home tandem-data",
    ),
    Entry(
        "seal",
        "operating.journal.seal",
        "Begin the next generation now, so that the lanes seal the current one and a backfill can take it in.",
        "tandem seal",
    ),
    Entry(
        "stop",
        "operating.journal.stop",
        "Ask the live run to take in what it has read, seal its lanes and end.",
        "tandem stop",
    ),
    Entry("pubsub", "", "Create topics and subscriptions, in the emulator or in Pub/Sub.", commands=PUBSUB),
    Entry("deadletters", "", "List, show, replay and drop what could not be decoded.", commands=DEADLETTERS),
    Entry("keys", "", "API keys for `tandem serve`: create, list, revoke.", commands=KEYS),
    Entry("alerts", "", "List, show, acknowledge and silence alerts; how well rules do.", commands=ALERTS),
    Entry("results", "", "List and show what was sent, and send again what was refused.", commands=RESULTS),
    Entry("store", "", "Users of a PostgreSQL view store; stores of an older version.", commands=STORE),
    Entry("template", "", "Dataflow's templates of the pipelines, and definitions for them.", commands=TEMPLATE),
    Entry("flink", "", "A Flink on this machine: start, status, stop; savepoints of jobs.", commands=FLINK),
)

COMMANDS: Final[tuple[Entry, ...]] = tuple(
    replace(entry, panel=panel)
    for panel, entries in (("Run", _RUN), ("Ask", _ASK), ("Operate", _OPERATE))
    for entry in entries
)
