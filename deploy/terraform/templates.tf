resource "google_artifact_registry_repository" "images" {
  project       = var.project
  location      = var.region
  repository_id = var.deployment
  format        = "DOCKER"
  kms_key_name  = google_kms_crypto_key.data.id
  labels        = local.labels

  docker_config {
    immutable_tags = true
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

locals {
  templates = coalesce(var.templates, "${path.module}/../flex")
}

# What `gcloud dataflow flex-template build` would put there: the image, the language, and the parameters of the command line.
resource "google_storage_bucket_object" "template" {
  for_each = local.jobs

  bucket       = google_storage_bucket.data["staging"].name
  name         = "templates/${each.value}-${filemd5("${local.templates}/${each.value}.json")}.json"
  content_type = "application/json"
  content = jsonencode({
    image    = var.images[each.value]
    sdkInfo  = { language = "PYTHON" }
    metadata = jsondecode(file("${local.templates}/${each.value}.json"))
  })
}

locals {
  parameters = {
    for job in local.jobs : job => {
      definition = local.definitions
      home       = local.home
      store      = local.stores[job]
    }
  }
  environment = {
    for job in local.jobs : job => {
      serviceAccountEmail   = google_service_account.job[job].email
      subnetwork            = google_compute_subnetwork.jobs.self_link
      ipConfiguration       = "WORKER_IP_PRIVATE"
      tempLocation          = "${google_storage_bucket.data["staging"].url}/temp"
      stagingLocation       = "${google_storage_bucket.data["staging"].url}/staging"
      additionalExperiments = ["use_runner_v2"]
    }
  }
}

# Draining, not cancelling, when it is replaced or taken away: lanes are sealed, and the next run goes on from the journal.
resource "google_dataflow_flex_template_job" "live" {
  provider = google-beta
  count    = var.live.enabled ? 1 : 0

  project                 = var.project
  region                  = var.region
  name                    = "${var.deployment}-live"
  container_spec_gcs_path = "${google_storage_bucket.data["staging"].url}/${google_storage_bucket_object.template["live"].name}"
  on_delete               = "drain"
  service_account_email   = google_service_account.job["live"].email
  subnetwork              = google_compute_subnetwork.jobs.self_link
  ip_configuration        = "WORKER_IP_PRIVATE"
  machine_type            = var.live.machine_type
  num_workers             = var.live.workers
  max_workers             = var.live.max_workers
  enable_streaming_engine = true
  additional_experiments  = ["use_runner_v2"]
  temp_location           = local.environment.live.tempLocation
  staging_location        = local.environment.live.stagingLocation
  sdk_container_image     = var.images.live
  labels                  = local.labels

  parameters = merge(local.parameters.live, {
    subscription = google_pubsub_subscription.live.id
    lanes        = tostring(var.live.lanes)
  })

  depends_on = [
    google_project_iam_member.worker,
    google_secret_manager_secret_version.password,
    google_sql_user.user,
    google_storage_bucket_iam_member.home,
  ]
}
