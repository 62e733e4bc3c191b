resource "google_sql_database_instance" "views" {
  # checkov:skip=CKV_GCP_6:connections are encrypted and private, and clients give passwords; certificates would be files on every worker
  project             = var.project
  name                = "${var.deployment}-views"
  region              = var.region
  database_version    = "POSTGRES_18"
  encryption_key_name = google_kms_crypto_key.data.id
  deletion_protection = var.database.protected

  settings {
    tier                        = var.database.tier
    edition                     = "ENTERPRISE"
    availability_type           = var.database.zones
    disk_type                   = "PD_SSD"
    disk_size                   = var.database.disk_gb
    disk_autoresize             = true
    deletion_protection_enabled = var.database.protected
    user_labels                 = local.labels

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7
      start_time                     = "02:00"

      backup_retention_settings {
        retained_backups = 14
      }
    }

    maintenance_window {
      day          = 7
      hour         = 3
      update_track = "stable"
    }

    insights_config {
      query_insights_enabled = true
    }

    password_validation_policy {
      enable_password_policy      = true
      complexity                  = "COMPLEXITY_DEFAULT"
      disallow_username_substring = true
      min_length                  = 16
    }

    # A job's sinks are funnelled to at most 16 writers; readers of `serve`, launchers and administrators come on top.
    database_flags {
      name  = "max_connections"
      value = "200"
    }

    database_flags {
      name  = "cloudsql.enable_pgaudit"
      value = "on"
    }

    database_flags {
      name  = "pgaudit.log"
      value = "ddl"
    }

    database_flags {
      name  = "log_checkpoints"
      value = "on"
    }

    database_flags {
      name  = "log_connections"
      value = "on"
    }

    database_flags {
      name  = "log_disconnections"
      value = "on"
    }

    database_flags {
      name  = "log_duration"
      value = "on"
    }

    database_flags {
      name  = "log_hostname"
      value = "on"
    }

    database_flags {
      name  = "log_lock_waits"
      value = "on"
    }

    database_flags {
      name  = "log_min_error_statement"
      value = "error"
    }

    database_flags {
      name  = "log_min_messages"
      value = "error"
    }

    database_flags {
      name  = "log_statement"
      value = "ddl"
    }
  }

  depends_on = [google_service_networking_connection.services, google_kms_crypto_key_iam_member.agent]
}

# The database and its users go with the instance: PostgreSQL drops no user who owns tables or was granted some.
resource "google_sql_database" "views" {
  project         = var.project
  instance        = google_sql_database_instance.views.name
  name            = "tandem"
  deletion_policy = "ABANDON"
}

# Each job has a user; `tandem store grant` says what each of them may do. Passwords are made anew by raising the version, and are
# in no state: they are written only.
ephemeral "random_password" "user" {
  for_each = local.users

  length           = 40
  min_lower        = 1
  min_upper        = 1
  min_numeric      = 1
  min_special      = 1
  override_special = "-_." # stand in a URL as they are
}

locals {
  password_version = 1
}

resource "google_secret_manager_secret" "password" {
  for_each = local.users

  project   = var.project
  secret_id = "${var.deployment}-${each.value}-password"
  labels    = local.labels

  replication {
    user_managed {
      replicas {
        location = var.region
        customer_managed_encryption {
          kms_key_name = google_kms_crypto_key.data.id
        }
      }
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}

resource "google_secret_manager_secret_version" "password" {
  for_each = local.users

  secret                 = google_secret_manager_secret.password[each.value].id
  secret_data_wo         = ephemeral.random_password.user[each.value].result
  secret_data_wo_version = local.password_version
}

resource "google_sql_user" "user" {
  for_each = local.users

  project             = var.project
  instance            = google_sql_database_instance.views.name
  name                = "tandem-${each.value}"
  password_wo         = ephemeral.random_password.user[each.value].result
  password_wo_version = local.password_version
  deletion_policy     = "ABANDON"
}
