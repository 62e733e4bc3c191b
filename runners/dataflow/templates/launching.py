"""Makes the request that launches a Flex Template, and sends it to Dataflow's API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tandem.schemas.errors import LaunchError, UserError

__all__ = ["ENVIRONMENT", "TemplateLaunch", "launched"]

_COUNT: Final = "[1-9][0-9]{0,8}"
_PLAIN: Final = r"[^\s,]+"
_BUCKET: Final = r"gs://[^/\s]+(/\S*)?"
_REGION: Final = r"[a-z]([-a-z0-9]*[a-z0-9])?"
ENVIRONMENT: Final[Mapping[str, tuple[str, type, str]]] = {
    "additional_experiments": ("additionalExperiments", list, rf"{_PLAIN}(,{_PLAIN})*"),
    "disk_size_gb": ("diskSizeGb", int, _COUNT),
    "enable_streaming_engine": ("enableStreamingEngine", bool, "[tT]rue|[fF]alse"),
    "ip_configuration": ("ipConfiguration", str, "WORKER_IP_PUBLIC|WORKER_IP_PRIVATE"),
    "kms_key_name": ("kmsKeyName", str, r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+"),
    "launcher_machine_type": ("launcherMachineType", str, _PLAIN),
    "machine_type": ("machineType", str, _PLAIN),
    "max_workers": ("maxWorkers", int, _COUNT),
    "network": ("network", str, _PLAIN),
    "num_workers": ("numWorkers", int, _COUNT),
    "sdk_container_image": ("sdkContainerImage", str, _PLAIN),
    "service_account_email": ("serviceAccountEmail", str, r"[^@/\s]+@[^@/\s]+"),
    "staging_location": ("stagingLocation", str, _BUCKET),
    "subnetwork": ("subnetwork", str, _PLAIN),
    "temp_location": ("tempLocation", str, _BUCKET),
    "worker_region": ("workerRegion", str, _REGION),
}
"""Flags of a launch about the job's machines: name in the API, type, and a pattern of the whole of every value."""
_JOB_NAME: Final = r"[a-z]([-a-z0-9]{0,1022}[a-z0-9])?"
_PROJECT: Final = r"([a-z0-9.-]+:)?[a-z]([-a-z0-9]*[a-z0-9])?"
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
        for flag, given, pattern, form in (
            ("project", self.project, _PROJECT, "the project's id"),
            ("region", self.region, _REGION, "such as europe-west1"),
            ("job-name", self.job_name, _JOB_NAME, "small letters, digits and hyphens, a letter first"),
            ("template", self.specification, r"gs://[^/\s]+/\S+", "Dataflow reads it from gs://BUCKET/..."),
        ):
            if not re.fullmatch(pattern, given):
                raise UserError(f"--{flag} {given[:80]!r}: {form}")

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
