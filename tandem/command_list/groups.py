"""The commands of groups."""

from __future__ import annotations

from typing import Final

from tandem.command_list.entry import Entry, Flags

__all__ = ["ALERTS", "DEADLETTERS", "FLINK", "KEYS", "PUBSUB", "RESULTS", "STORE", "TEMPLATE"]

PUBSUB: Final[tuple[Entry, ...]] = (
    Entry(
        "create-topic",
        "platforms.pubsub.create_topic",
        "Create a topic; one that is there already is left as it is.",
        "tandem pubsub create-topic projects/demo/topics/clicks",
    ),
    Entry(
        "create-subscription",
        "platforms.pubsub.create_subscription",
        "Create a subscription; it gets what is published from then on. One that is there must be the same.",
        "tandem pubsub create-subscription projects/demo/subscriptions/clicks --topic projects/demo/topics/clicks",
    ),
)
DEADLETTERS: Final[tuple[Entry, ...]] = (
    Entry(
        "list",
        "dead_letters.letters.list_letters",
        "List dead letters with their status, tries, time and reason.",
        "tandem deadletters list clicks --status open",
    ),
    Entry(
        "show",
        "dead_letters.letters.show",
        "Show all of one dead letter: payload, reason, stage, where it came from, times, attributes, history.",
        "tandem deadletters show clicks 000001-ab/0000/000003#7",
    ),
    Entry(
        "replay",
        "dead_letters.replay.replay",
        "Send open dead letters through the pipeline again, once each, and say what the definition makes of them now.",
        "tandem deadletters replay clicks --only-readable",
    ),
    Entry(
        "drop",
        "dead_letters.letters.drop",
        "Give open dead letters up: answers are no longer PARTIAL because of them. Their files stay.",
        "tandem deadletters drop clicks --reason amount --note 'a test of the shop'",
    ),
)
KEYS: Final[tuple[Entry, ...]] = (
    Entry(
        "create",
        "serving.keys.create_key",
        "Make an API key, and show it: this once, since only its hash is kept.",
        "tandem keys create dashboard",
    ),
    Entry("list", "serving.keys.list_keys", "List the API keys, without their secrets.", "tandem keys list"),
    Entry(
        "revoke",
        "serving.keys.revoke_key",
        "Take an API key's power from it, at once and for good.",
        "tandem keys revoke dashboard",
    ),
)
ALERTS: Final[tuple[Entry, ...]] = (
    Entry(
        "list",
        "delivery.alerts.list_alerts",
        "List alerts, those that began last first.",
        "tandem alerts list clicks --firing",
    ),
    Entry(
        "show",
        "delivery.alerts.show",
        "Show one alert: each of its states and what decided it, down to the messages that were counted.",
        "tandem alerts show clicks 7d14a36b --messages 10",
    ),
    Entry(
        "ack",
        "delivery.alerts.ack",
        "Note that somebody has seen an alert; verdicts and what is sent stay as they are.",
        "tandem alerts ack clicks 7d14a36b --note 'a campaign'",
    ),
    Entry(
        "silence",
        "delivery.alerts.silence",
        "Send nothing of a rule or key for a while. Alerts are decided on and kept all the same.",
        "tandem alerts silence clicks --rule busy --for 2h",
    ),
    Entry(
        "report",
        "delivery.alerts.report",
        "Say how well each rule does, by what batch has said of its alerts.",
        "tandem alerts report clicks",
    ),
)
RESULTS: Final[tuple[Entry, ...]] = (
    Entry(
        "list",
        "delivery.results.list_results",
        "List the last revision of each window and key, the newest windows first, and what waits to be sent.",
        "tandem results list clicks --key home",
    ),
    Entry(
        "show",
        "delivery.results.show",
        "Show one window and key: its last revision, and the messages of it that wait in the outbox.",
        "tandem results show clicks hourly --at 2026-01-05T09:00 --key home",
    ),
    Entry(
        "send",
        "delivery.results.send",
        "Let all windows of a span be looked at again, such as those of before a result or a rule was declared.",
        "tandem results send clicks --from 2026-01-04",
    ),
    Entry(
        "dead",
        "delivery.results.dead",
        "List messages that an output refused for good, with its reason; `tandem results retry` sends them again.",
        "tandem results dead clicks",
    ),
    Entry(
        "retry",
        "delivery.results.retry",
        "Let messages that were refused, and outputs that wait for their next try, be tried at once.",
        "tandem results retry clicks",
    ),
    Entry(
        "schema",
        "delivery.schemas.schema",
        "Print the schema of a result's messages.",
        "tandem results schema clicks hourly --format json",
    ),
    Entry(
        "register",
        "delivery.schemas.register",
        "Register the Avro schema of a result's messages in Pub/Sub, and let its topics have it.",
        "tandem results register clicks hourly --schema projects/demo/schemas/hourly",
    ),
    Entry(
        "table",
        "delivery.schemas.table",
        "Print the tables of BigQuery that a result goes to, with their views; or make them.",
        "tandem results table clicks hourly --create",
    ),
)
FLINK: Final[tuple[Entry, ...]] = (
    Entry(
        "start",
        "platforms.flink.start",
        "Start a Flink on this machine, with Beam's job server and a pool of Python workers; or what of it is dead.",
        "tandem flink start",
    ),
    Entry(
        "stop",
        "platforms.flink.stop",
        "End all processes of the Flink on this machine; jobs that run are lost but for their checkpoints.",
        "tandem flink stop",
    ),
    Entry(
        "status",
        "platforms.flink.status",
        "Show every process, jobs with what is known of each, and flags to run with; exit code 1 when one is dead.",
        "tandem flink status",
    ),
    Entry(
        "savepoint",
        "platforms.flink.savepoint",
        "Write a savepoint of a job that goes on.",
        "tandem flink savepoint 000001-5f",
    ),
    Entry(
        "stop-job",
        "platforms.flink.stop_job",
        "Stop a job with a savepoint, from which `tandem live --runner flink --resume RUN` goes on.",
        "tandem flink stop-job 000001-5f",
    ),
)
_FLEX: Final[tuple[Entry, ...]] = (
    Entry(
        "build",
        "platforms.flex_templates.build",
        "Write the specification that Dataflow launches: image, language, and parameters with their forms.",
        "tandem template flex build live --image europe-docker.pkg.dev/demo/tandem/live@sha256:12ab --to live.json",
    ),
    Entry(
        "run",
        "platforms.flex_templates.run",
        "Launch a template with the flags of its pipeline, which are looked at before anything is sent.",
        "tandem template flex run live --template gs://demo/live.json --project demo --region europe-west1 --lanes 4",
        Flags.BEAM_TOO,
    ),
    Entry(
        "describe",
        "platforms.flex_templates.describe",
        "Show the parameters of a template: what each is for, what it may be, and what goes without it.",
        "tandem template flex describe live",
    ),
)
_CLASSIC: Final[tuple[Entry, ...]] = (
    Entry(
        "build",
        "platforms.classic_templates.build",
        "Write a job that is given its parameters when it is started, and their description beside it.",
        "tandem template classic build backfill --to gs://demo/backfill --project=demo --region=europe-west1"
        " --staging_location=gs://demo/staging",
        Flags.BEAM_TOO,
    ),
)
TEMPLATE: Final[tuple[Entry, ...]] = (
    Entry("flex", "", "Flex Templates: build, run, describe.", commands=_FLEX),
    Entry("classic", "", "Classic templates: build.", commands=_CLASSIC),
    Entry(
        "definition",
        "platforms.flex_templates.definition",
        "Write a definition with its Avro schemas in it, as one file that jobs elsewhere can read.",
        "tandem template definition clicks.yaml --to gs://demo-tandem/clicks.yaml",
    ),
)
STORE: Final[tuple[Entry, ...]] = (
    Entry(
        "grant",
        "operating.store.grant",
        "Give a user of a PostgreSQL store what a role needs and nothing else; asked by the owner of the store.",
        "tandem store grant live tandem-live --store postgresql://tandem@db.example/tandem",
    ),
    Entry(
        "migrate",
        "operating.store.migrate",
        "Bring a view store of an older version to this one, in one transaction; nothing may run on it meanwhile.",
        "tandem store migrate --store postgresql://tandem@db.example/tandem",
    ),
)
