"""Prism that ends with the process that started it, also when that is killed."""

from __future__ import annotations

from typing import Any, Final

from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions
from apache_beam.runners.portability.job_server import StopOnExitJobServer
from apache_beam.runners.portability.prism_runner import PrismJobServer as BeamsJobServer
from apache_beam.runners.portability.prism_runner import PrismRunner

from tandem.pipelines.job_servers import stay_on_the_line, tied

__all__ = ["TIED_PRISM", "TiedPrismRunner", "keep_bundles_whole"]

TIED_PRISM: Final = f"{__name__}.TiedPrismRunner"
"""What to pass as `--runner`."""


def keep_bundles_whole(options: PipelineOptions) -> None:
    """Forbid Prism to split bundles that take their time; other runners don't know the experiment.

    Prism 2.77 splits those of stateful stages too, between two elements of one key: it then works on the key in two
    bundles at once, and what the first of them wrote into the key's state is lost.
    """
    options.view_as(DebugOptions).add_experiment("prism_disable_sdf_split")


class TiedPrismRunner(PrismRunner):  # type: ignore[misc]
    """Beam's PrismRunner, whose server would otherwise be left behind, idle, by a process that is killed.

    On Linux; elsewhere it is PrismRunner.
    """

    def run_portable_pipeline(self, pipeline: Any, options: PipelineOptions) -> Any:
        """See PrismRunner."""
        keep_bundles_whole(options)
        stay_on_the_line(options)
        return super().run_portable_pipeline(pipeline, options)

    def default_job_server(self, options: PipelineOptions) -> Any:
        """See PrismRunner."""
        if options.view_as(DebugOptions).lookup_experiment("disable_prism_server_singleton"):
            return StopOnExitJobServer(PrismJobServer(options))
        return PrismRunner.shared_handle.acquire(lambda: StopOnExitJobServer(PrismJobServer(options)))


class PrismJobServer(BeamsJobServer):  # type: ignore[misc]
    """Its logger is named by the class."""

    def subprocess_cmd_and_endpoint(self) -> tuple[list[Any], str]:
        command, endpoint = super().subprocess_cmd_and_endpoint()
        return tied(command), endpoint
