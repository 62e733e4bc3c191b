"""Checks of flags without an effect: typing errors that Beam drops silently, and options of other runners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from apache_beam.options.pipeline_options import StandardOptions
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.runner import create_runner

from tandem.runners.options.beam import known_flags
from tandem.runners.plan.findings import Finding, Level
from tandem.runners.plan.launch import Engine, Launch, suggestion

__all__ = ["CHECKS", "FLINK_OPTIONS", "check_beam", "check_ignored", "check_unknown", "known_flags"]

FLINK_OPTIONS: Final = (
    *("allow_non_restored_state", "attached_mode", "auto_balance_write_files_sharding_enabled"),
    *("auto_watermark_interval", "checkpoint_timeout_millis", "checkpointing_interval", "checkpointing_mode"),
    *("disable_metrics", "enable_stable_input_drain", "execution_mode_for_batch", "execution_retry_delay"),
    *("externalized_checkpoints_enabled", "fail_on_checkpointing_errors", "faster_copy"),
    *("file_input_split_max_size_m_b", "finish_bundle_before_checkpointing", "flink_conf_dir"),
    *("force_unaligned_checkpoint_enabled", "job_check_interval_in_secs", "latency_tracking_interval"),
    *("max_bundle_size", "max_bundle_time_mills", "min_pause_between_checkpoints", "num_concurrent_checkpoints"),
    *("number_of_execution_retries", "object_reuse", "operator_chaining", "re_iterable_group_by_key_result"),
    *("report_checkpoint_duration", "retain_externalized_checkpoints_on_cancellation", "savepoint_path"),
    *("shutdown_sources_after_idle_ms", "state_backend", "state_backend_factory", "state_backend_storage_path"),
    *("tolerable_checkpoint_failure_number", "unaligned_checkpoint_enabled", "use_data_stream_for_batch"),
)
"""FlinkPipelineOptions of Beam's Java side (2.62 and later), as the job server names them."""
_PORTABLE: Final = (
    *("default_environment_config", "default_environment_type", "enable_heap_dumps", "files_to_stage"),
    *("default_sdk_harness_log_level", "sdk_harness_log_level_overrides", "jdk_add_open_modules"),
    *("load_balance_bundles", "retain_docker_containers", "stable_unique_names", "user_agent"),
)
_BOUNDED: Final = ("direct_num_workers", "direct_running_mode")
_OF_FLINK: Final = (
    *("parallelism", "max_parallelism", "flink_master", "flink_version", "flink_job_server_jar"),
    *("flink_submit_uber_jar", *FLINK_OPTIONS),
)
_OF_PORTABLE: Final = ("job_endpoint", "artifact_endpoint", "environment_cache_millis", "output_executable_path")
_OF_WORKERS: Final = ("sdk_worker_parallelism", "environment_type", "environment_config", "environment_options")
_OF_DATAFLOW: Final = (
    *("num_workers", "max_num_workers", "machine_type", "worker_machine_type", "autoscaling_algorithm", "region"),
    *("disk_size_gb", "worker_disk_type", "dataflow_service_options", "enable_streaming_engine", "staging_location"),
    *("template_location", "update", "transform_name_mapping", "create_from_snapshot", "dataflow_job_file"),
    *("service_account_email", "subnetwork", "network", "no_use_public_ips", "use_public_ips", "dry_run"),
)
_OF_PRISM: Final = ("prism_location", "prism_beam_version_override", "prism_log_level", "prism_log_kind")
_OF_SPARK: Final = ("spark_master_url", "spark_job_server_jar", "spark_submit_uber_jar", "spark_rest_url")

_GROUPS: Final[tuple[tuple[tuple[str, ...], frozenset[Engine], str], ...]] = (
    (_BOUNDED, frozenset({Engine.FN_API, Engine.OLD_DIRECT}), "of bounded pipelines on this machine"),
    (_OF_FLINK, frozenset({Engine.FLINK, Engine.PORTABLE, Engine.OTHER}), "Flink's"),
    (_OF_PORTABLE, frozenset({Engine.FLINK, Engine.SPARK, Engine.PORTABLE, Engine.OTHER}), "of portable runners"),
    (
        _OF_WORKERS,
        frozenset({Engine.FLINK, Engine.SPARK, Engine.PORTABLE, Engine.PRISM, Engine.OTHER}),
        "of portable runners",
    ),
    (_OF_DATAFLOW, frozenset({Engine.DATAFLOW, Engine.OTHER}), "Dataflow's"),
    (_OF_PRISM, frozenset({Engine.PRISM, Engine.OTHER}), "Prism's"),
    (_OF_SPARK, frozenset({Engine.SPARK, Engine.PORTABLE, Engine.OTHER}), "Spark's"),
)
_INSTEAD: Final = {
    Engine.FLINK: "use --parallelism and --sdk_worker_parallelism",
    Engine.PRISM: "leave it out; --lanes reads a subscription with several readers",
    Engine.DATAFLOW: "use --num_workers and --max_num_workers",
}


def check_unknown(launch: Launch) -> Iterator[Finding]:
    """Flags that neither Beam nor the runner knows: Beam drops them silently."""
    if launch.engine not in (Engine.FLINK, Engine.SPARK, Engine.PORTABLE):
        return  # tandem.runners.options.beam rejects them for all others
    of_runner = (*FLINK_OPTIONS, *_PORTABLE) if launch.engine is not Engine.SPARK else _PORTABLE
    known = known_flags() | set(of_runner)
    for name in launch.flags:
        if name not in known:
            yield Finding(
                Level.ERROR,
                "unknown-flag",
                f"neither Tandem, nor Beam, nor {launch.engine} has it, and Beam would drop it without a word",
                f"--{name}",
                f"correct it{suggestion(name, sorted(known))}" if suggestion(name, sorted(known)) else "leave it out",
            )


def check_ignored(launch: Launch) -> Iterator[Finding]:
    """Options that are accepted, but ignored by this runner."""
    for names, engines, whose in _GROUPS:
        if launch.engine in engines:
            continue
        for name in sorted(set(names) & set(launch.flags)):
            remedy = _INSTEAD.get(launch.engine, "leave it out") if name in _BOUNDED else "leave it out"
            yield Finding(
                Level.WARNING,
                "ignored-flag",
                f"is accepted and ignored: it is {whose}, and the job runs on {launch.engine}",
                f"--{name}",
                remedy,
            )


def check_beam(launch: Launch) -> Iterator[Finding]:
    """Errors of Beam's own validation of the options, before Beam raises them."""
    if launch.engine is Engine.DATAFLOW:
        return  # Beam's own would query Google Cloud; see checks.dataflow
    name = launch.options.view_as(StandardOptions).runner or "DirectRunner"
    try:
        errors = PipelineOptionsValidator(launch.options, create_runner(name)).validate()
    except (ValueError, ImportError, AttributeError) as error:
        errors = [str(error)]
    for text in errors:
        if "is required for environment type" not in text:  # checks.workers has a better message
            yield Finding(Level.ERROR, "beam-options", " ".join(text.split()), "", "correct the flag")


CHECKS: Final[tuple[Callable[[Launch], Iterator[Finding]], ...]] = (check_unknown, check_ignored, check_beam)
