locals {
  lifecycles = {
    # Journal, layers, dead letters and definitions. Nothing here deletes what is current, because openings and seals of the journal
    # must stay for ever; what was overwritten or deleted can be had back for 30 days.
    home = [
      { type = "Delete", condition = { days_since_noncurrent_time = 30, with_state = "ARCHIVED" } },
      { type = "AbortIncompleteMultipartUpload", condition = { age = 2 } },
      {
        type = "SetStorageClass"
        to   = "NEARLINE"
        condition = {
          age            = var.journal_nearline_after_days
          matches_prefix = ["${var.deployment}/journal/"]
          with_state     = "LIVE"
        }
      },
    ]
    # What jobs stage, and what waits during a backfill: gone after two weeks.
    staging = [
      { type = "Delete", condition = { age = 14, matches_prefix = ["temp/", "scratch/", "staging/"] } },
      { type = "Delete", condition = { days_since_noncurrent_time = 1, with_state = "ARCHIVED" } },
    ]
  }
}

resource "google_storage_bucket" "data" {
  for_each = toset(["home", "staging"])

  project                     = var.project
  name                        = "${var.project}-${var.deployment}-${each.key}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  labels                      = local.labels

  versioning {
    enabled = true
  }

  encryption {
    default_kms_key_name = google_kms_crypto_key.data.id
  }

  logging {
    log_bucket        = google_storage_bucket.logs.name
    log_object_prefix = each.key
  }

  dynamic "lifecycle_rule" {
    for_each = local.lifecycles[each.key]

    content {
      action {
        type          = lifecycle_rule.value.type
        storage_class = try(lifecycle_rule.value.to, null)
      }
      condition {
        age                        = try(lifecycle_rule.value.condition.age, null)
        days_since_noncurrent_time = try(lifecycle_rule.value.condition.days_since_noncurrent_time, null)
        matches_prefix             = try(lifecycle_rule.value.condition.matches_prefix, null)
        with_state                 = try(lifecycle_rule.value.condition.with_state, null)
      }
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

resource "google_storage_bucket" "logs" {
  # checkov:skip=CKV_GCP_62:the bucket of the access logs would log to itself
  project                     = var.project
  name                        = "${var.project}-${var.deployment}-logs"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  labels                      = local.labels

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 90
    }
  }

  depends_on = [google_project_service.needed]
}

# Cloud Storage writes access logs as this group.
resource "google_storage_bucket_iam_member" "logs" {
  bucket = google_storage_bucket.logs.name
  role   = "roles/storage.objectCreator"
  member = "group:cloud-storage-analytics@google.com"
}

resource "google_storage_bucket_object" "definition" {
  for_each = var.definitions

  bucket       = google_storage_bucket.data["home"].name
  name         = "${var.deployment}/definitions/${each.key}-${filemd5(each.value)}.yaml"
  source       = each.value
  content_type = "application/yaml"
}
