resource "google_monitoring_notification_channel" "email" {
  project      = var.project
  display_name = "Tandem ${var.deployment}"
  type         = "email"
  labels       = { email_address = var.alert_email }
  user_labels  = local.labels

  depends_on = [google_project_service.needed]
}

locals {
  of_live  = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.live.name}\""
  of_aside = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.undelivered.name}\""
  of_jobs  = "resource.type=\"dataflow_job\" AND resource.labels.job_name=starts_with(\"${var.deployment}-\")"
  of_views = "resource.type=\"cloudsql_database\" AND resource.labels.database_id=\"${var.project}:${google_sql_database_instance.views.name}\""

  alerts = {
    backlog = {
      what     = "messages wait longer than five minutes: live is down or too slow"
      filter   = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND ${local.of_live}"
      above    = 300
      duration = "300s"
      aligner  = "ALIGN_MAX"
      remedy   = "See the live job's log; `tandem status` names lanes that are gone. More lanes need a new run."
    }
    undelivered = {
      what     = "messages were set aside after 100 attempts, and are in no answer"
      filter   = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND ${local.of_aside}"
      above    = 0
      duration = "0s"
      aligner  = "ALIGN_MAX"
      remedy   = "Publish them to the topic of the events again once live runs: what was counted already isn't counted twice."
    }
    failed = {
      what     = "a job has failed"
      filter   = "metric.type=\"dataflow.googleapis.com/job/is_failed\" AND ${local.of_jobs}"
      above    = 0
      duration = "0s"
      aligner  = "ALIGN_MAX"
      remedy   = "Nothing of a failed backfill is served. Read its log, then launch it again."
    }
    lag = {
      what     = "a job's system lag is above two minutes"
      filter   = "metric.type=\"dataflow.googleapis.com/job/system_lag\" AND ${local.of_jobs}"
      above    = 120
      duration = "600s"
      aligner  = "ALIGN_MAX"
      remedy   = "See which stage waits; the view store's CPU and connections are the usual cause."
    }
    disk = {
      what     = "the view store's disk is four fifths full"
      filter   = "metric.type=\"cloudsql.googleapis.com/database/disk/utilization\" AND ${local.of_views}"
      above    = 0.8
      duration = "600s"
      aligner  = "ALIGN_MEAN"
      remedy   = "`tandem prune` removes what the newest publications don't need."
    }
    connections = {
      what     = "the view store has 160 of its 200 connections open"
      filter   = "metric.type=\"cloudsql.googleapis.com/database/postgresql/num_backends\" AND ${local.of_views}"
      above    = 160
      duration = "300s"
      aligner  = "ALIGN_MAX"
      remedy   = "Fewer readers a server (`tandem serve --readers`), or a pooler in between."
    }
  }
}

resource "google_monitoring_alert_policy" "alert" {
  for_each = local.alerts

  project               = var.project
  display_name          = "Tandem ${var.deployment}: ${each.value.what}"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.email.id]
  user_labels           = local.labels

  conditions {
    display_name = each.value.what

    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.above
      duration        = each.value.duration

      aggregations {
        alignment_period   = "60s"
        per_series_aligner = each.value.aligner
      }
    }
  }

  documentation {
    content   = each.value.remedy
    mime_type = "text/markdown"
  }
}
