resource "google_pubsub_topic" "events" {
  project                    = var.project
  name                       = "${var.deployment}-events"
  kms_key_name               = google_kms_crypto_key.data.id
  message_retention_duration = "604800s"
  labels                     = local.labels

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

resource "google_pubsub_topic" "undelivered" {
  project      = var.project
  name         = "${var.deployment}-undelivered"
  kms_key_name = google_kms_crypto_key.data.id
  labels       = local.labels

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

# Live acknowledges a message once it is in the journal, whatever it holds: what can't be decoded is one of Tandem's own dead
# letters. So a message is only ever sent again because readers died with it. 100 attempts, the most that there can be, keep a bad
# night from moving good messages aside; what is moved nevertheless waits below, and raises an alert.
resource "google_pubsub_subscription" "live" {
  project                    = var.project
  name                       = "${var.deployment}-live"
  topic                      = google_pubsub_topic.events.id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"
  labels                     = local.labels

  expiration_policy {
    ttl = "" # never
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.undelivered.id
    max_delivery_attempts = 100
  }

  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "60s"
  }
}

resource "google_pubsub_subscription" "undelivered" {
  project                    = var.project
  name                       = "${var.deployment}-undelivered"
  topic                      = google_pubsub_topic.undelivered.id
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s"
  labels                     = local.labels

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic_iam_member" "undelivered" {
  project = var.project
  topic   = google_pubsub_topic.undelivered.name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:${google_project_service_identity.agent["pubsub.googleapis.com"].email}"
}

resource "google_pubsub_subscription_iam_member" "forwarding" {
  project      = var.project
  subscription = google_pubsub_subscription.live.name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:${google_project_service_identity.agent["pubsub.googleapis.com"].email}"
}
