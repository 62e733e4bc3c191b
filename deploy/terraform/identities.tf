# One account a job, which may do what that job does and no more. No account has a role on the project but those that Dataflow's
# workers need to report what they do.

resource "google_service_account" "job" {
  for_each = local.jobs

  project      = var.project
  account_id   = "${var.deployment}-${each.value}"
  display_name = "Tandem ${var.deployment}: ${each.value}"

  depends_on = [google_project_service.needed]
}

resource "google_service_account" "serve" {
  project      = var.project
  account_id   = "${var.deployment}-serve"
  display_name = "Tandem ${var.deployment}: answers"

  depends_on = [google_project_service.needed]
}

resource "google_service_account" "schedule" {
  project      = var.project
  account_id   = "${var.deployment}-schedule"
  display_name = "Tandem ${var.deployment}: starts jobs"

  depends_on = [google_project_service.needed]
}

locals {
  accounts = merge(
    { for job, account in google_service_account.job : job => account.member },
    { serve = google_service_account.serve.member },
  )
}

resource "google_project_iam_member" "worker" {
  for_each = local.jobs

  project = var.project
  role    = "roles/dataflow.worker"
  member  = google_service_account.job[each.value].member
}

resource "google_artifact_registry_repository_iam_member" "image" {
  for_each = local.jobs

  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.job[each.value].member
}

resource "google_storage_bucket_iam_member" "staging" {
  for_each = local.jobs

  bucket = google_storage_bucket.data["staging"].name
  role   = "roles/storage.objectUser"
  member = google_service_account.job[each.value].member
}

# Live writes the journal and dead letters, backfill layers and dead letters; the others read.
resource "google_storage_bucket_iam_member" "home" {
  for_each = {
    live      = "roles/storage.objectUser"
    backfill  = "roles/storage.objectUser"
    reconcile = "roles/storage.objectViewer"
    serve     = "roles/storage.objectViewer"
  }

  bucket = google_storage_bucket.data["home"].name
  role   = each.value
  member = local.accounts[each.key]
}

resource "google_storage_bucket_iam_member" "history" {
  for_each = { for pair in setproduct(var.history, ["backfill", "reconcile"]) : join("/", pair) => { bucket = pair[0], job = pair[1] } }

  bucket = each.value.bucket
  role   = "roles/storage.objectViewer"
  member = google_service_account.job[each.value.job].member
}

resource "google_pubsub_subscription_iam_member" "live" {
  for_each = toset(["roles/pubsub.subscriber", "roles/pubsub.viewer"]) # it asks for the acknowledge deadline

  project      = var.project
  subscription = google_pubsub_subscription.live.name
  role         = each.value
  member       = google_service_account.job["live"].member
}

resource "google_secret_manager_secret_iam_member" "password" {
  for_each = local.accounts

  project   = var.project
  secret_id = google_secret_manager_secret.password[each.key].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}

# Starting a job means acting as its account, for these jobs only.
resource "google_project_iam_custom_role" "launch" {
  project     = var.project
  role_id     = replace("${var.deployment}_launch", "-", "_")
  title       = "Tandem ${var.deployment}: launch templates"
  description = "Start Dataflow jobs, and see them."
  permissions = ["dataflow.jobs.create", "dataflow.jobs.get", "dataflow.jobs.list"]

  depends_on = [google_project_service.needed]
}

resource "google_project_iam_member" "launch" {
  project = var.project
  role    = google_project_iam_custom_role.launch.id
  member  = google_service_account.schedule.member
}

resource "google_service_account_iam_member" "launch" {
  for_each = toset(["backfill", "reconcile"])

  service_account_id = google_service_account.job[each.value].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.schedule.member
}

resource "google_storage_bucket_iam_member" "templates" {
  bucket = google_storage_bucket.data["staging"].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.schedule.member
}
