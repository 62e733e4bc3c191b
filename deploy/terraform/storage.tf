# The home: journal, layers, dead letters and definitions. Nothing here deletes what is current, because openings and seals of the
# journal must stay for ever; what was overwritten or deleted can be had back for 30 days.
resource "google_storage_bucket" "home" {
  project                     = var.project
  name                        = "${var.project}-${var.deployment}-home"
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
    log_object_prefix = "home"
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
  }

  lifecycle_rule {
    action {
      type          = "SetStorageClass"
      storage_class = "NEARLINE"
    }
    condition {
      age            = var.journal_nearline_after_days
      matches_prefix = ["${var.deployment}/journal/"]
      with_state     = "LIVE"
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 2
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

# What jobs stage, and what waits during a backfill: gone after two weeks.
resource "google_storage_bucket" "staging" {
  project                     = var.project
  name                        = "${var.project}-${var.deployment}-staging"
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
    log_object_prefix = "staging"
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 14
      matches_prefix = ["temp/", "scratch/", "staging/"]
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 1
      with_state                 = "ARCHIVED"
    }
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
}

resource "google_storage_bucket_object" "definition" {
  for_each = var.definitions

  bucket       = google_storage_bucket.home.name
  name         = "${var.deployment}/definitions/${each.key}-${filemd5(each.value)}.yaml"
  source       = each.value
  content_type = "application/yaml"
}
