# One key for what is stored, turned over every 90 days. Without it nothing can be read again, so it can't be destroyed by mistake.

resource "google_kms_key_ring" "this" {
  project  = var.project
  name     = var.deployment
  location = var.region

  depends_on = [google_project_service.needed]
}

resource "google_kms_crypto_key" "data" {
  name            = "data"
  key_ring        = google_kms_key_ring.this.id
  rotation_period = "7776000s"
  labels          = local.labels

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_project_service_identity" "agent" {
  provider = google-beta
  for_each = toset(["artifactregistry.googleapis.com", "pubsub.googleapis.com", "secretmanager.googleapis.com", "sqladmin.googleapis.com"])

  project = var.project
  service = each.value

  depends_on = [google_project_service.needed]
}

data "google_storage_project_service_account" "storage" {
  project = var.project

  depends_on = [google_project_service.needed]
}

locals {
  encrypting = merge(
    { for service, identity in google_project_service_identity.agent : service => identity.email },
    { storage = data.google_storage_project_service_account.storage.email_address },
  )
}

resource "google_kms_crypto_key_iam_member" "agent" {
  for_each = local.encrypting

  crypto_key_id = google_kms_crypto_key.data.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${each.value}"
}
