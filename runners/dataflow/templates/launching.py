"""Makes the request that launches a Flex Template, and sends it to Dataflow's API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tandem.schemas.errors import LaunchError, UserError

__all__ = ["ENVIRONMENT", "TemplateLaunch", "launched"]

ENVIRONMENT: Final[Mapping[str, tuple[str, type]]] = {
    "additional_experiments": ("additionalExperiments", list),
    "disk_size_gb": ("diskSizeGb", int),
    "enable_streaming_engine": ("enableStreamingEngine", bool),
    "ip_configuration": ("ipConfiguration", str),
    "kms_key_name": ("kmsKeyName", str),
    "launcher_machine_type": ("launcherMachineType", str),
    "machine_type": ("machineType", str),
    "max_workers": ("maxWorkers", int),
    "network": ("network", str),
    "num_workers": ("numWorkers", int),
    "sdk_container_image": ("sdkContainerImage", str),
    "service_account_email": ("serviceAccountEmail", str),
    "staging_location": ("stagingLocation", str),
    "subnetwork": ("subnetwork", str),
    "temp_location": ("tempLocation", str),
    "worker_region": ("workerRegion", str),
}
"""Flags of a launch about the job's machines, by their names in the API."""
_JOB_NAME: Final = re.compile(r"[a-z]([-a-z0-9]{0,1022}[a-z0-9])?")
_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class TemplateLaunch:
    """One launch of a template."""

    project: str
    region: str
    job_name: str
    specification: str
    """The gs:// URL of the image specification."""
    parameters: Mapping[str, str]
    environment: Mapping[str, Any]
    update: bool = False
    """Whether to replace the running streaming job of this name."""
    endpoint: str = "https://dataflow.googleapis.com"

    def __post_init__(self) -> None:
        if not _JOB_NAME.fullmatch(self.job_name):
            raise UserError(f"--job-name {self.job_name[:80]}: small letters, digits and hyphens, a letter first")
        if not self.specification.startswith("gs://"):
            raise UserError(f"--template {self.specification[:80]}: Dataflow reads it from gs://BUCKET/...")

    @property
    def url(self) -> str:
        """The URL of the request."""
        return f"{self.endpoint}/v1b3/projects/{self.project}/locations/{self.region}/flexTemplates:launch"

    def body(self, *, validate_only: bool = False) -> dict[str, Any]:
        """The request, a LaunchFlexTemplateRequest; with `validate_only` Dataflow checks it and starts no job."""
        launch: dict[str, Any] = {
            "jobName": self.job_name,
            "containerSpecGcsPath": self.specification,
            "parameters": dict(self.parameters),
            "environment": dict(self.environment),
        }
        if self.update:
            launch["update"] = True
        return {"launchParameter": launch, **({"validateOnly": True} if validate_only else {})}


def launched(launch: TemplateLaunch, *, validate_only: bool = False) -> dict[str, Any]:
    """The job that Dataflow has started, in the form of its API. Raises LaunchError with the API's message."""
    import google.auth
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import AuthorizedSession
    from requests import RequestException

    try:
        credentials, _ = google.auth.default(scopes=_SCOPES)
        with AuthorizedSession(credentials) as session:  # type: ignore[no-untyped-call]
            reply = session.post(launch.url, json=launch.body(validate_only=validate_only), timeout=_SECONDS)
    except GoogleAuthError as error:
        raise LaunchError(
            f"no credentials for Google Cloud: {str(error).splitlines()[0][:200]}",
            "gcloud auth application-default login",
        ) from None
    except RequestException as error:
        raise LaunchError(f"Dataflow at {launch.endpoint} can't be reached: {str(error)[:200]}") from None
    stated: dict[str, Any] = reply.json() if "json" in reply.headers.get("content-type", "") else {}
    if reply.status_code != 200:
        why = stated.get("error", {}).get("message") or reply.reason
        raise LaunchError(f"Dataflow refuses the launch (HTTP {reply.status_code}): {' '.join(str(why).split())[:500]}")
    job: dict[str, Any] = stated.get("job", {})
    return job
