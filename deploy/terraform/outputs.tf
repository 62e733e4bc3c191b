output "home" {
  description = "TANDEM_HOME of this deployment."
  value       = local.home
}

output "stores" {
  description = "URLs of the view store, one a user; none of them has a password in it."
  value       = local.stores
}

output "topic" {
  description = "Where events are published."
  value       = google_pubsub_topic.events.id
}

output "templates" {
  description = "Specifications of the Flex Templates."
  value       = { for job, object in google_storage_bucket_object.template : job => "${google_storage_bucket.data["staging"].url}/${object.name}" }
}

output "repository" {
  description = "Where the image is pushed to, before jobs can start."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}
