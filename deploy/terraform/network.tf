# Jobs and database have addresses of this network alone; Google's services are reached from inside.

resource "google_compute_network" "this" {
  project                 = var.project
  name                    = var.deployment
  auto_create_subnetworks = false

  depends_on = [google_project_service.needed]
}

resource "google_compute_subnetwork" "jobs" {
  project                  = var.project
  name                     = "${var.deployment}-jobs"
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = var.subnet_range
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.5
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

# Workers of a Dataflow job shuffle among themselves.
resource "google_compute_firewall" "workers" {
  project       = var.project
  name          = "${var.deployment}-workers"
  network       = google_compute_network.this.id
  direction     = "INGRESS"
  source_ranges = [var.subnet_range]
  target_tags   = ["dataflow"]

  allow {
    protocol = "tcp"
    ports    = ["12345-12346"]
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_global_address" "services" {
  project       = var.project
  name          = "${var.deployment}-services"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
  network       = google_compute_network.this.id
}

resource "google_service_networking_connection" "services" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]
  deletion_policy         = "ABANDON" # Cloud SQL holds on to it for days after its instance is gone: it goes with the network
}
