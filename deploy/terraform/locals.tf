locals {
  labels = merge({ application = "tandem", deployment = var.deployment }, var.labels)

  # What runs, each as an account of its own.
  jobs  = toset(["live", "backfill", "reconcile"])
  users = setunion(local.jobs, ["serve", "owner"])

  home        = "gs://${google_storage_bucket.data["home"].name}/${var.deployment}"
  definitions = join(",", [for name, file in var.definitions : "gs://${google_storage_bucket.data["home"].name}/${google_storage_bucket_object.definition[name].name}"])

  # The password is no part of it: jobs read it from Secret Manager, by the name that stands here.
  stores = {
    for user in local.users : user => join("", [
      "postgresql://tandem-${user}@${google_sql_database_instance.views.private_ip_address}/${google_sql_database.views.name}",
      "?sslmode=require&password_from=gcp:${google_secret_manager_secret.password[user].id}/versions/latest",
    ])
  }
}
