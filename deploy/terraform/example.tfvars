project     = "my-project"
deployment  = "clicks"
alert_email = "on-call@example.com"

images = {
  live      = "europe-west1-docker.pkg.dev/my-project/clicks/tandem-live@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  backfill  = "europe-west1-docker.pkg.dev/my-project/clicks/tandem-backfill@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  reconcile = "europe-west1-docker.pkg.dev/my-project/clicks/tandem-reconcile@sha256:0000000000000000000000000000000000000000000000000000000000000000"
}

definitions = {
  clicks = "../../examples/clicks/clicks.yaml"
}
