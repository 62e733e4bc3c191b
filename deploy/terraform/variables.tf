variable "project" {
  description = "The project that everything is made in."
  type        = string
}

variable "region" {
  description = "The region of buckets, database and jobs."
  type        = string
  default     = "europe-west1"
}

variable "deployment" {
  description = "What this deployment is called: the first part of every name, and the folder of its home in the bucket."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.deployment))
    error_message = "A deployment's name is 3 to 20 small letters, digits and hyphens, and begins with a letter."
  }
}

variable "definitions" {
  description = "The definitions to run: local files by name. Each is put into the bucket, where jobs read it."
  type        = map(string)
}

variable "images" {
  description = "The images of live, backfill and reconcile with their digests, REGION-docker.pkg.dev/PROJECT/REPOSITORY/tandem-live@sha256:..."
  type        = object({ live = string, backfill = string, reconcile = string })

  validation {
    condition     = alltrue([for image in values(var.images) : can(regex("@sha256:[0-9a-f]{64}$", image))])
    error_message = "Name images by their digest: a tag can be moved under a running job."
  }
}

variable "templates" {
  description = "The folder with the templates' metadata, as `tandem template flex build` writes it."
  type        = string
  default     = null
}

variable "live" {
  description = "Whether the live job runs, and its size. Lanes are readers of the subscription; workers are Dataflow's."
  type = object({
    enabled      = optional(bool, true)
    lanes        = optional(number, 4)
    workers      = optional(number, 2)
    max_workers  = optional(number, 4)
    machine_type = optional(string, "n2-standard-2")
  })
  default = {}
}

variable "schedules" {
  description = "When backfill and reconcile run, in cron's form and UTC; null for never."
  type = object({
    backfill  = optional(string, "17 * * * *")
    reconcile = optional(string, "43 4 * * *")
  })
  default = {}
}

variable "database" {
  description = "The view store's machine."
  type = object({
    tier      = optional(string, "db-custom-2-7680")
    disk_gb   = optional(number, 50)
    zones     = optional(string, "REGIONAL")
    protected = optional(bool, true)
  })
  default = {}
}

variable "history" {
  description = "Buckets with data files that backfills read."
  type        = list(string)
  default     = []
}

variable "subnet_range" {
  description = "Addresses of the machines that run jobs."
  type        = string
  default     = "10.20.0.0/20"
}

variable "journal_nearline_after_days" {
  description = "When segments of the journal become NEARLINE: they are read again by rebuilds alone."
  type        = number
  default     = 90
}

variable "alert_email" {
  description = "Who is told of what is wrong."
  type        = string
}

variable "labels" {
  description = "Labels of everything that can have some."
  type        = map(string)
  default     = {}
}
