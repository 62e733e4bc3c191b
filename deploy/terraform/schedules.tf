locals {
  scheduled = { for job, cron in { backfill = var.schedules.backfill, reconcile = var.schedules.reconcile } : job => cron if cron != null }
}

# Backfills of one name take turns in the store, so one that starts before the last has ended waits.
resource "google_cloud_scheduler_job" "job" {
  for_each = local.scheduled

  project          = var.project
  region           = var.region
  name             = "${var.deployment}-${each.key}"
  description      = "Launches the Flex Template ${each.key} of Tandem ${var.deployment}"
  schedule         = each.value
  time_zone        = "Etc/UTC"
  attempt_deadline = "180s"

  retry_config {
    retry_count          = 3
    min_backoff_duration = "30s"
    max_backoff_duration = "300s"
  }

  http_target {
    http_method = "POST"
    uri         = "https://dataflow.googleapis.com/v1b3/projects/${var.project}/locations/${var.region}/flexTemplates:launch"
    headers     = { "Content-Type" = "application/json" }
    body = base64encode(jsonencode({
      launchParameter = {
        jobName              = "${var.deployment}-${each.key}"
        containerSpecGcsPath = "${google_storage_bucket.data["staging"].url}/${google_storage_bucket_object.template[each.key].name}"
        parameters = merge(
          local.parameters[each.key],
          each.key == "backfill" ? { scratch = "${google_storage_bucket.data["staging"].url}/scratch" } : {},
        )
        environment = merge(local.environment[each.key], { sdkContainerImage = var.images[each.key] })
      }
    }))

    oauth_token {
      service_account_email = google_service_account.schedule.email
    }
  }

  depends_on = [google_project_service.needed]
}
