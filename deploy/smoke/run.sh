#!/usr/bin/env bash
# Tries on a real project what no test of the checkout can: images are built and pushed, a deployment of its own is made by Terraform,
# events are published, live and a backfill run from their templates on Dataflow, and the answers are compared. Everything that it has
# made is taken away at the end, also when it fails; KEEP=1 leaves it. About 30 minutes, and about two dollars.
#
#   make cloud-smoke PROJECT=my-project [REGION=europe-west1] [KEEP=1]
#
# It needs gcloud (signed in, with `gcloud auth application-default login`), docker, jq, Terraform 1.11, and Owner of the project: what
# isn't there is said in one line, before anything is made.
set -euo pipefail
cd "$(dirname "$0")/../.."
stop() { echo "$*" >&2; exit 2; }
project=${PROJECT:-}
region=${REGION:-europe-west1}
[[ $project =~ ^([a-z0-9.-]+:)?[a-z][a-z0-9-]*[a-z0-9]$ ]] || stop "make cloud-smoke PROJECT=my-project, by the project's id"
[[ $region =~ ^[a-z]+-[a-z]+[0-9]+$ ]] || stop "REGION=$region: such as europe-west1"
name=smoke-$(date +%H%M%S)
tandem=${TANDEM:-.venv/bin/tandem}
say() { printf '\n== %s\n' "$*"; }

for needed in gcloud docker terraform jq; do
  command -v "$needed" >/dev/null || stop "$needed is missing"
done
version=$(terraform version -json | jq -r .terraform_version)
[ "$(printf '%s\n' 1.11.0 "$version" | sort -V | head -1)" = 1.11.0 ] || stop "Terraform $version is too old: 1.11 or later"
docker info >/dev/null 2>&1 || stop "docker doesn't answer: is its daemon running?"
account=$(gcloud config get-value account 2>/dev/null)
{ [ -n "$account" ] && gcloud auth print-access-token >/dev/null 2>&1; } || stop "gcloud isn't signed in: gcloud auth login"
gcloud auth application-default print-access-token >/dev/null 2>&1 \
  || stop "there are no credentials for Terraform and Tandem: gcloud auth application-default login"
gcloud projects describe "$project" >/dev/null 2>&1 || stop "$account doesn't see a project $project"

work=$(mktemp -d)
nothing="$region-docker.pkg.dev/$project/$name/none@sha256:$(printf '0%.0s' {1..64})"
images="live=\"$nothing\",backfill=\"$nothing\",reconcile=\"$nothing\""
variables=(-var "project=$project" -var "region=$region" -var "deployment=$name" -var "alert_email=$account")
variables+=(-var "definitions={clicks=\"$work/clicks.json\"}")
variables+=(-var 'database={tier="db-custom-1-3840",disk_gb=10,zones="ZONAL",protected=false}' -var 'schedules={backfill=null,reconcile=null}')
apply() { terraform -chdir="$work/module" apply -auto-approve -input=false "${variables[@]}" -var "images={$images}" "$@"; }
destroy() { terraform -chdir="$work/module" destroy -auto-approve -input=false "${variables[@]}" -var "images={$images}" "$@"; }

machine=""
cleanup() {
  status=$?
  [ "${KEEP:-}" = 1 ] && { echo "left as it is: deployment $name of $project, state in $work"; exit $status; }
  say "taking $name away"
  if [ -n "$machine" ]; then
    gcloud compute instances delete "$machine" --project "$project" --zone "$region-b" --quiet || true
    gcloud compute firewall-rules delete "$name-ssh" --project "$project" --quiet || true
  fi
  # what protects a real deployment from a mistake
  sed -i 's/prevent_destroy = true/prevent_destroy = false/' "$work"/module/*.tf
  # first live, which writes into the home until it is drained; access logs may come later still
  destroy -target=google_dataflow_flex_template_job.live || true
  for attempt in 1 2 3; do
    gcloud storage rm --recursive --quiet "gs://$project-$name-home/**" "gs://$project-$name-staging/**" "gs://$project-$name-logs/**" 2>/dev/null || true
    destroy && break
    [ "$attempt" = 3 ] && echo "left over: deployment $name of $project, Terraform's state in $work"
  done
  exit $status
}
trap cleanup EXIT

say "a module of its own in $work"
cp -r deploy/terraform "$work/module"
cp -r deploy/flex "$work/flex"
$tandem template definition examples/clicks/clicks.yaml --to "$work/clicks.json"
terraform -chdir="$work/module" init -input=false
gcloud services enable cloudresourcemanager.googleapis.com iap.googleapis.com --project "$project"
apply -target=google_artifact_registry_repository.images

say "images"
repository=$region-docker.pkg.dev/$project/$name
gcloud auth configure-docker "$region-docker.pkg.dev" --quiet
pushed=""
for job in live backfill reconcile; do
  docker build --quiet -f deploy/containers/Dockerfile --target dataflow --build-arg "TEMPLATE=$job" -t "$repository/tandem-$job:smoke" .
  docker push --quiet "$repository/tandem-$job:smoke"
  pushed+="$job=\"$(docker inspect --format '{{index .RepoDigests 0}}' "$repository/tandem-$job:smoke")\","
done
images=${pushed%,}

say "everything but live; then the users of the store, by its owner"
apply -var 'live={enabled=false}'
docker build --quiet -f deploy/containers/Dockerfile --target tandem -t tandem:smoke .
stores=$(terraform -chdir="$work/module" output -json stores)
echo "the store has a private address: the commands below run on a machine of its network"
for bound in "$name-owner-password" "$name-serve-password"; do
  gcloud secrets add-iam-policy-binding "$bound" --project "$project" --role roles/secretmanager.secretAccessor \
    --member "serviceAccount:$name-serve@$project.iam.gserviceaccount.com" --quiet >/dev/null
done
gcloud artifacts repositories add-iam-policy-binding "$name" --project "$project" --location "$region" --role roles/artifactregistry.reader \
  --member "serviceAccount:$name-serve@$project.iam.gserviceaccount.com" --quiet >/dev/null
machine=$name-owner
gcloud compute firewall-rules create "$name-ssh" --project "$project" --network "$name" --allow tcp:22 --source-ranges 35.235.240.0/20 --quiet
gcloud compute instances create-with-container "$name-owner" --project "$project" --zone "$region-b" --subnet "$name-jobs" --no-address \
  --container-restart-policy never --container-image "$repository/tandem-backfill:smoke" --scopes cloud-platform --service-account "$name-serve@$project.iam.gserviceaccount.com" --quiet >/dev/null
on_machine() { gcloud compute ssh "$name-owner" --project "$project" --zone "$region-b" --tunnel-through-iap --quiet --command "docker run --rm --network host --entrypoint tandem $repository/tandem-backfill:smoke $*"; }
owner=$(jq -r .owner <<<"$stores")
for attempt in $(seq 1 40); do # it starts, and pulls the image
  on_machine --version >/dev/null 2>&1 && break
  [ "$attempt" = 40 ] && { echo "no command runs on $machine in 10 minutes: gcloud compute ssh $machine" >&2; exit 1; }
  sleep 15
done
for role in live backfill reconcile serve; do on_machine store grant "$role" "tandem-$role" --store "'$owner'"; done

say "live, from its template"
apply
topic=$(terraform -chdir="$work/module" output -raw topic)
cat > "$work/today.jsonl" <<'END'
{"event_id": "t1", "event_time": "2026-01-05T09:15:00Z", "user_id": 4, "page": "home", "country": "DE", "amount": 3.0}
{"event_id": "t2", "event_time": "2026-01-05T09:45:00Z", "user_id": 3, "page": "home", "country": "IT", "amount": 5.0}
END
$tandem publish --definition examples/clicks/clicks.yaml --files "$work/today.jsonl" --topic "$topic"
serve=$(jq -r .serve <<<"$stores")
asked() { on_machine query clicks --key home --from 2026-01-05 --to 2026-01-06 --json --store "'$serve'" | jq -r '.results.clicks'; }
for attempt in $(seq 1 60); do
  [ "$(asked 2>/dev/null)" = 2 ] && break
  [ "$attempt" = 60 ] && { echo "live hasn't counted 2 events in 15 minutes: see the job's log" >&2; exit 1; }
  sleep 15
done
echo "live has counted 2 events"

say "a backfill, from its template; the same numbers then come from batch"
home=$(terraform -chdir="$work/module" output -raw home)
specification=$(terraform -chdir="$work/module" output -json templates | jq -r .backfill)
definition=$(gcloud storage ls "$home/definitions/")
image=$(grep -o 'backfill="[^"]*"' <<<"$images" | cut -d'"' -f2)
$tandem template flex run backfill --template "$specification" --project "$project" --region "$region" --job-name "$name-backfill" \
  --definition "$definition" --home "$home" --store "$(jq -r .backfill <<<"$stores")" --ip_configuration=WORKER_IP_PRIVATE \
  --subnetwork="https://www.googleapis.com/compute/v1/projects/$project/regions/$region/subnetworks/$name-jobs" \
  --service_account_email="$name-backfill@$project.iam.gserviceaccount.com" --sdk_container_image="$image" \
  --temp_location="gs://$project-$name-staging/temp" --staging_location="gs://$project-$name-staging/staging"
for attempt in $(seq 1 60); do
  [ "$(on_machine query clicks --key home --from 2026-01-05 --to 2026-01-06 --json --store "'$serve'" | jq -r '.certificate.batch_events // 0')" != 0 ] && break
  [ "$attempt" = 60 ] && { echo "the backfill has served nothing in 15 minutes: see the job's log" >&2; exit 1; }
  sleep 15
done
[ "$(asked)" = 2 ] || { echo "the answer has changed: $(asked) instead of 2" >&2; exit 1; }
say "right: 2 events by live, and the same 2 by batch"
