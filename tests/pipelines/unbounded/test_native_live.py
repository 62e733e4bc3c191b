"""Beam's own Pub/Sub read: the same answers from its messages, and what can't be kept is refused.

The read itself runs on Dataflow alone. Here its messages come from a list; all after it is what runs there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from samples import sales
from samples.collected import Collect, seen
from samples.sales import Sale
from typer.testing import CliRunner, Result

from tandem.app import app
from tandem.pipelines.unbounded import config as live_config
from tandem.pipelines.unbounded import native as native_live
from tandem.runners.options.reading import read_arguments
from tandem.runners.plan.graph import graph_of
from tandem.runners.submission.launching import FN_API_RUNNER
from tandem.schemas.certificate import Status
from tandem.schemas.errors import LaunchError, UserError
from tandem.transforms.elements import SourceBatch
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.transforms.sources.native import GENERATION, DecodeNative, PubsubMessageCoder, _Gather
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

DEFINITION, COMPILED = sales.definition(), sales.compiled()
AT = datetime(2026, 1, 5, 8, tzinfo=UTC)
EVENTS = [Sale(f"{n}", n * sales.SECOND, shop="ab"[n % 2], amount=n / 10) for n in range(120)]
FLAGS = ("--runner=DataflowRunner", "--project=project", "--region=r", "--temp_location=gs://bucket/temp")
SUBSCRIPTION = ("--subscription", "projects/project/subscriptions/sales")
TOPIC = ("--dead-letter-topic", "projects/project/topics/dead")


def message(data: bytes, number: int) -> PubsubMessage:
    return PubsubMessage(data, {"n": str(number)}, f"m{number}", AT + timedelta(microseconds=number))


def messages(payloads: Sequence[bytes]) -> list[PubsubMessage]:
    return [message(data, number) for number, data in enumerate(payloads)]


@pytest.fixture
def store(tmp_path: Path) -> ViewStore:
    opened = open_store(f"sqlite:///{tmp_path}/views.db")
    opened.definitions.register(COMPILED, sales.text())
    return opened


def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/views.db"


def view(store: ViewStore, place: str, sent: Sequence[bytes], base: str | None = None) -> str:
    """Run all that follows the read over messages; the dead letters are left under the name that is given back."""
    run = f"n-{len(seen('native'))}"
    store.live.start(COMPILED.version, run, base_batch_run=base)
    letters = f"letters of {place}"
    with beam.Pipeline(options=PipelineOptions([f"--runner={FN_API_RUNNER}"])) as pipeline:
        made = pipeline | "Made" >> beam.Create(messages(sent)).with_output_types(PubsubMessage)
        batches = made | "PubSub" >> DecodeNative((DEFINITION,), run)
        dead = batches | "sales" >> native_live.NativeView(DEFINITION, LiveRunRef(place, run, base), 0)
        _ = dead | "Letters" >> beam.ParDo(Collect(letters)).with_output_types(PubsubMessage)
    return letters


def answers(store: ViewStore) -> dict[tuple[str, int], dict[str, Any]]:
    return {(row.key, row.start): dict(row.results) for row in all_answers(store, COMPILED)}


def test_answers_are_the_oracles(store: ViewStore, tmp_path: Path) -> None:
    copies = EVENTS[:30]
    letters = view(store, url(tmp_path), [sale.payload() for sale in [*EVENTS, *copies]] + [b"no sale"])
    assert sales.differences(answers(store), sales.expected(EVENTS)) == []
    (dead,) = seen(letters)
    assert (dead.data, dead.attributes["tandem-definition"], dead.attributes["n"]) == (b"no sale", "sales", "150")
    assert {"tandem-reason", "tandem-stage", "tandem-position"} <= set(dead.attributes)
    served = store.publishing.served("sales")
    assert served is not None
    assert set(store.residues.of_rows(COMPILED.version, str(served.live_run)).values()) == {0}


def test_no_answer_is_final(store: ViewStore, tmp_path: Path) -> None:
    view(store, url(tmp_path), [sale.payload() for sale in EVENTS])
    row = next(iter(all_answers(store, COMPILED)))
    told = answer(store, COMPILED, row.key, row.start, row.end).certificate
    assert told.status is Status.PROVISIONAL
    assert told.watermark is None


def test_batches_have_numbers_of_their_own_and_no_watermark(tmp_path: Path) -> None:
    name = f"batches of {tmp_path}"
    with beam.Pipeline(options=PipelineOptions([f"--runner={FN_API_RUNNER}"])) as pipeline:
        sent = beam.Create(messages([sale.payload() for sale in EVENTS])).with_output_types(PubsubMessage)
        batches = pipeline | "Made" >> sent | "PubSub" >> DecodeNative((DEFINITION,), "n-1")
        _ = batches | "Batches" >> beam.ParDo(Collect(name)).with_output_types(SourceBatch)
    found: list[SourceBatch] = seen(name)
    assert sum(batch.decoded.received for batch in found) == len(EVENTS)
    assert {(batch.position, batch.generation, batch.watermark) for batch in found} == {
        ("n-1/native", GENERATION, None)
    }
    assert len({batch.number for batch in found}) == len(found)
    published = [
        at for batch in found if batch.messages is not None for at in batch.messages.column("publish_time").to_pylist()
    ]
    assert min(published) == int(AT.timestamp()) * 1_000_000
    assert len(set(published)) == len(EVENTS)


def test_a_number_is_kept_before_anything_is_written_by_it() -> None:
    """Otherwise a bundle that is tried again would count its messages under another number."""
    pipeline = beam.Pipeline()
    made = pipeline | "Made" >> beam.Create([]).with_output_types(PubsubMessage)
    _ = made | "PubSub" >> DecodeNative((DEFINITION,), "n-1")
    proto = graph_of(pipeline).proto
    by_label = {transform.unique_name: transform for transform in proto.components.transforms.values()}
    (gathered,) = by_label["PubSub/Gather"].outputs.values()
    (numbered,) = by_label["PubSub/Number"].outputs.values()
    assert by_label["PubSub/Number"].spec.urn == "beam:transform:reshuffle:v1"
    assert list(by_label["PubSub/Number"].inputs.values()) == [gathered]
    assert list(by_label["PubSub/Batches"].inputs.values()) == [numbered]


def test_gathering_begins_anew_after_a_bundle_that_failed() -> None:
    gather, one = _Gather(), message(b"x", 1)
    gather.start_bundle()
    assert list(gather.process(one, beam.utils.timestamp.Timestamp(5))) == []
    gather.start_bundle()
    assert list(gather.finish_bundle()) == []
    list(gather.process(one, beam.utils.timestamp.Timestamp(7)))
    (value,) = gather.finish_bundle()
    assert (value.value[1].num_rows, value.timestamp) == (1, beam.utils.timestamp.Timestamp(7))


def test_the_coder_of_messages() -> None:
    coder, one = PubsubMessageCoder(), message(b"\x00data", 7)
    back = coder.decode(coder.encode(one))
    assert (back, back.message_id, back.publish_time) == (one, "m7", one.publish_time)


def arguments(tmp_path: Path, *more: str) -> list[str]:
    (tmp_path / "sales.yaml").write_text(sales.text())
    return [
        "--definition",
        f"{tmp_path}/sales.yaml",
        "--home",
        str(tmp_path),
        *SUBSCRIPTION,
        "--source",
        "native",
        *more,
    ]


def tandem(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param((), "needs --dead-letter-topic", id="no-topic"),
        pytest.param(TOPIC, "needs --runner=DataflowRunner", id="on-prism"),
        pytest.param(
            (*TOPIC, "--runner=FlinkRunner", "--flink_master=[local]", "--flink_version=1.19"),
            "native-read",
            id="on-flink",
        ),
        pytest.param((*TOPIC, *FLAGS, "--lanes=2"), "--lanes is of the journal", id="lanes"),
        pytest.param((*TOPIC, *FLAGS, "--follow"), "--follow is of the journal", id="follow"),
        pytest.param((*TOPIC, *FLAGS), "sqlite-store", id="sqlite"),
        pytest.param(("--dead-letter-topic", "dead", *FLAGS), "dead", id="not-a-topic"),
    ],
)
def test_what_is_refused(more: Sequence[str], said: str, tmp_path: Path) -> None:
    result = tandem("live", *arguments(tmp_path, *more))
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert not (tmp_path / "views.db").exists()


def test_an_unknown_source_is_refused(tmp_path: Path) -> None:
    result = tandem("live", *arguments(tmp_path)[:-1], "kafka")
    assert (result.exit_code, "kafka" in result.stderr) == (2, True)


def test_the_plan_has_nothing_against_it_on_dataflow(tmp_path: Path) -> None:
    sound = (*TOPIC, *FLAGS, "--store=postgresql://db/views", "--sdk_container_image=a/b:1")
    result = tandem("plan", "live", *arguments(tmp_path, *sound))
    assert (result.exit_code, "nothing to say" in result.stdout) == (0, True), result.stdout
    assert result.stdout.startswith("native on Dataflow")


def config_of(tmp_path: Path, *more: str) -> native_live.NativeConfig:
    return native_live.parse(read_arguments("live", arguments(tmp_path, *TOPIC, *more)))[0]


def test_a_second_run_is_refused_as_it_could_not_read_again_what_the_first_has(
    store: ViewStore, tmp_path: Path
) -> None:
    view(store, url(tmp_path), [sale.payload() for sale in EVENTS])
    served = store.publishing.served("sales")
    assert served is not None
    with pytest.raises(LaunchError, match=f"--resume {served.live_run} --update"):
        native_live.start_runs(config_of(tmp_path), store)
    (again,) = native_live.start_runs(config_of(tmp_path, "--resume", str(served.live_run)), store)
    assert again.run == served.live_run
    assert sum(row["sales"] for row in answers(store).values()) == len(EVENTS)


def test_a_run_after_a_batch_run_of_a_journal_is_refused(store: ViewStore, tmp_path: Path) -> None:
    store.batch.start(COMPILED.version, "b-1", boundary=3)
    store.batch.finish("b-1", native_manifest(3))
    store.publishing.publish("sales", COMPILED.version, "b-1", None)
    with pytest.raises(LaunchError, match="generations of a journal up to 3"):
        native_live.start_runs(config_of(tmp_path), store)


def native_manifest(boundary: int) -> Any:
    from tandem.views.rows import BatchManifest, GenerationCounts

    return BatchManifest(tuple(GenerationCounts(g, received=0, counted=0) for g in range(1, boundary + 1)))


@pytest.mark.parametrize("flag", ["--dead-letter-topic=projects/p/topics/t", "--id_label", "--id-label=id"])
def test_what_is_of_this_source_is_refused_by_the_journals(tmp_path: Path, flag: str) -> None:
    words = [*arguments(tmp_path)[:-2], flag, *(["id"] if flag == "--id_label" else [])]
    with pytest.raises(UserError, match="is of --source native"):
        live_config.parse(read_arguments("live", words))
