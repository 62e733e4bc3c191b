# Two commands do everything on a fresh machine: `make demo` and `make test`.
# Set-up is cached in .venv (ignored by git) and in Beam's own cache, and is done again only when the lock changes.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.set-up
LOCK   := requirements/lock.txt
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Hundreds of processes are started by tests: each would compile Tandem's modules anew, about a second of its processor time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo dashboard quick test deploy-tools system-tools deploy-check image-check provider-schema cloud-smoke test-browser fuzz-api load check lint types docs pages processes chaos machines kill kill-results results-on-postgres fuzz conformance flink-faults versitygw object-stores alerts bench bench-backfill bench-live bench-short bench-emulator lock lock-peers flink clean

setup: $(STAMP)

$(STAMP): $(LOCK) requirements/build.txt setup.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tandem needs Python 3.11 or later")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/build.txt
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python $(LOCK) requirements/build.txt \
	  || $(BIN)/python -m pip install --quiet --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable . >$(VENV)/install.log 2>&1 \
	  || { cat $(VENV)/install.log; exit 1; }
	$(BIN)/python -m tandem.runners.local.prism
	touch $@

demo: setup
	$(BIN)/python -m examples.flights.demo

# Everything on this machine with live data flowing, and its pages at http://127.0.0.1:8080, until Ctrl-C.
dashboard: setup
	$(BIN)/python -m examples.dashboard.show $(DASHBOARD_FLAGS)

test: setup lint types deploy-tools system-tools
	$(BIN)/python -m pytest -q -m "not slow" -n 2 --dist loadgroup --durations=60 --durations-min=5

# Tools and servers that tests need and pip doesn't have, TOOL:PACKAGE of Debian: what is missing is installed (apt). Where that can't
# be done, their tests are skipped, and fail where CI=true.
SYSTEM_TOOLS := promtool:prometheus prometheus-alertmanager:prometheus-alertmanager pgbouncer:pgbouncer
SUDO := $$(test "$$(id -u)" = 0 || echo sudo)
system-tools:
	@for each in $(SYSTEM_TOOLS); do \
	  PATH="$$PATH:/usr/sbin" command -v "$${each%%:*}" >/dev/null || missing="$$missing $${each##*:}"; \
	done; \
	test -z "$$missing" \
	  || { $(SUDO) apt-get update --quiet --quiet && $(SUDO) apt-get install --quiet --quiet --yes --no-install-recommends $$missing; } \
	  || echo "not installed:$$missing; tests that need them are skipped, or fail where CI=true"

check: test

# What a change to a plain function has to pass first, in two minutes: of the project's form what takes seconds. `make test` is
# what it has to pass in the end.
FORM := $(addprefix tests/project/test_,sizes.py words.py import_circles.py import_directions.py decisions.py changelog.py \
  make_targets.py requirements.py flags_page.py public_packages.py)
quick: setup lint types
	$(BIN)/python -m pytest -q -m "not slow and not long" -n 2 $(FORM) tests/schemas tests/formats/values

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy -p tandem -p benchmarks -p examples
	MYPYPATH=tests/support $(BIN)/mypy $$(find tests/support -name '*.py')
	MYPYPATH=tests/support $(BIN)/mypy --exclude tests/support/ tests

# The site below build/site: a page that isn't in the navigation or a link that leads nowhere is an error. Its tools have an environment
# of their own, .venv-docs.
DOCS := .venv-docs
docs: $(DOCS)/.set-up
	PATH="$(CURDIR)/$(DOCS)/bin:$$PATH" NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict

$(DOCS)/.set-up: requirements/docs.txt
	test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --require-hashes -r requirements/docs.txt
	touch $@

# What judges the files below deploy/ (Terraform's own parser, Helm's renderer, checkov, hadolint, Compose; the schema of Flink's
# operator, by Maven) has an environment of its own, .venv-deploy.
DEPLOY := .venv-deploy
OPERATOR := org.apache.flink:flink-kubernetes-operator-api:1.10.0
deploy-tools: $(DEPLOY)/.set-up

$(DEPLOY)/.set-up: requirements/deploy.txt | setup
	test -x $(DEPLOY)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(DEPLOY)
	$(BIN)/uv pip sync --quiet --python $(DEPLOY)/bin/python --require-hashes requirements/deploy.txt
	mvn --quiet org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact=$(OPERATOR) \
	  -DoutputDirectory=$(CURDIR)/$(DEPLOY)/share/operator
	touch $@

deploy-check: deploy-tools
	$(BIN)/python -m pytest -q tests/deploy tests/pipelines/templated -m "slow or not slow" --ignore $(IMAGE_TEST)

# A template's image, made by the Dockerfile's own steps in a folder, and a whole job in it: launched there, its workers started by
# Beam's boot. Needs root and Debian's debootstrap, which this installs where it is missing; about ten minutes.
IMAGE_TEST := tests/deploy/containers/test_image_in_a_folder.py
image-check: setup
	PATH="$$PATH:/usr/sbin" command -v debootstrap \
	  || $$(test "$$(id -u)" = 0 || echo sudo) apt-get install --quiet --yes --no-install-recommends debootstrap
	PATH="$$PATH:/usr/sbin" $(BIN)/python -m pytest -q $(IMAGE_TEST) -m "slow or not slow"

# On a real project of Google Cloud: images, Terraform, live and a backfill on Dataflow, answers compared, all of it taken away again.
# 30 minutes, two dollars; see docs/explanation/not-tried-here.md.
cloud-smoke: setup
	deploy/smoke/run.sh # variables of the command line are in its environment

# The arguments that Terraform's providers take, of the types that CDKTF generated from them; needs npm.
provider-schema: setup
	mkdir -p build && cd build && npm pack --silent @cdktf/provider-google@16.12.1 @cdktf/provider-google-beta@16.12.1 \
	  @cdktf/provider-random@11.0.0
	$(BIN)/python tests/support/deployments/provider_schema.py build/cdktf-provider-*.tgz deploy/terraform \
	  > tests/deploy/terraform/provider_schema.json

# Every how-to page and the tutorial, from the first line to the last; about five minutes. `make test` runs most of them.
pages: setup
	$(BIN)/python -m pytest -q tests/project/test_pages.py -m "slow or not slow"

# The state machines, each with so many examples that every rule has to happen; about half an hour.
MACHINE_EXAMPLES ?= 500
MACHINE_SEED ?= 0
machines: setup
	$(BIN)/python -m pytest -q tests/machine -n 2 --machine-examples $(MACHINE_EXAMPLES) --machine-seed $(MACHINE_SEED) -m "slow or not slow"

# Commands and pipelines as whole processes: signals, ports, schedules of `tandem verify`, of each the cases that `make test` leaves out;
# about ten minutes.
processes: setup
	$(BIN)/python -m pytest -q tests/tandem tests/pipelines tests/verification -m slow

# Crashes and faults on real processes, the long form of tests/chaos; about two hours.
chaos: setup
	$(BIN)/python -m pytest -q tests/chaos -m "slow or not slow"

# Of these the kills alone.
kill: setup
	$(BIN)/python -m pytest -q tests/chaos/test_killed_at_any_instant.py tests/chaos/test_layers_killed.py -m "slow or not slow"

# Live and `tandem deliver`, killed twenty times while a subscriber keeps every revision; about 10 minutes.
kill-results: setup
	$(BIN)/python -m pytest -q -s tests/chaos/test_results_killed.py -m "slow or not slow"

# Every story of results and of their delivery on PostgreSQL; needs a server's programs in PATH. About 10 minutes.
results-on-postgres: setup
	TANDEM_TEST_STORIES=postgres $(BIN)/python -m pytest -q tests/views/results tests/pipelines/delivery -m "slow or not slow"

# Every scenario on every engine, and the table of docs/runners.md; about 20 minutes.
conformance: setup
	rm -f $(VENV)/conformance.jsonl
	TANDEM_CONFORMANCE=$(VENV)/conformance.jsonl $(BIN)/python -m pytest -q tests/conformance -m "slow or not slow"; \
	  failed=$$?; \
	  PYTHONPATH=tests/support $(BIN)/python -m on_engines.conformance_table $(VENV)/conformance.jsonl docs/runners.md && exit $$failed

# Processes of a Flink killed, paused and doubled under a live pipeline; about 10 minutes.
flink-faults: setup
	$(BIN)/python -m pytest -q -s tests/flink -m "slow or not slow"

# Object stores: the contract of places on every server that can be had, a second S3 among them, which Go builds once; an
# installation in a bucket; kills with journal and dead letters in a bucket. About 20 minutes.
VERSITYGW := github.com/versity/versitygw/cmd/versitygw@v1.8.0
versitygw: setup
	test -x $(BIN)/versitygw || GOBIN=$(CURDIR)/$(BIN) go install $(VERSITYGW)

object-stores: versitygw
	$(BIN)/python -m pytest -q tests/journal/storage/test_places.py tests/formats/files/test_files_of_buckets.py \
	  tests/pipelines/bounded/test_backfill_of_buckets.py tests/pipelines/unbounded/test_live_in_buckets.py \
	  tests/pipelines/delivery/test_result_files.py -m "slow or not slow"
	$(BIN)/python -m pytest -q -s tests/chaos/test_killed_at_any_instant.py -m slow -k in_a_bucket

# Alerts: a hundred seeded stories whose settled episodes are a backtest's, and a real Alertmanager, which this installs where
# there is none (apt). About five minutes.
alerts: setup
	command -v prometheus-alertmanager || command -v alertmanager \
	  || $$(test "$$(id -u)" = 0 || echo sudo) apt-get install --quiet --yes prometheus-alertmanager
	TANDEM_ALERTMANAGER=required \
	  $(BIN)/python -m pytest -q tests/views/decisions tests/pipelines/delivery/actions -m "slow or not slow"

# The dashboard in a real Chromium, which this installs where there is none (apt, about 440 MB): every page, both themes, phone
# width, by keyboard and by axe; pictures of all of them into .venv/screenshots. About two minutes.
test-browser: setup
	command -v chromium || command -v chromium-browser || command -v google-chrome \
	  || $$(test "$$(id -u)" = 0 || echo sudo) apt-get install --quiet --yes chromium
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/browser.txt
	TANDEM_BROWSER=required TANDEM_SCREENSHOTS=$(VENV)/screenshots \
	  $(BIN)/python -m pytest -q tests/serving/browser -m "slow or not slow"

# Mixed questions over HTTP while live writes and batch publishes, for an hour: no answer is wrong, and none falls.
LOAD_SECONDS ?= 3600
load: setup
	TANDEM_LOAD_SECONDS=$(LOAD_SECONDS) $(BIN)/python -m pytest -q tests/serving/test_load.py -m "slow or not slow"

# The HTTP API held against its own OpenAPI document, by schemathesis in an environment of its own.
fuzz-api: setup
	test -x $(VENV)-schemathesis/bin/st \
	  || { $(BIN)/uv venv --quiet $(VENV)-schemathesis \
	       && $(BIN)/uv pip install --quiet --python $(VENV)-schemathesis/bin/python --require-hashes -r requirements/schemathesis.txt; }
	TANDEM_FUZZ_EXAMPLES=100 TANDEM_FUZZ_SEED=$$(date +%s) \
	  $(BIN)/python -m pytest -q tests/serving/test_schemathesis.py -m "slow or not slow"

# Damaged Parquet and Avro files by the thousand, each a single flipped bit, some wild bytes or a cut: an error of one line or
# all events, and never the process. FUZZ is how many times as many as in `make test`.
FUZZ ?= 30
fuzz: setup
	TANDEM_FUZZ_ROUNDS=$(FUZZ) TANDEM_FUZZ_SEED=$$(date +%s) $(BIN)/python -m pytest -q -s tests/formats/parquet/test_damaged_binary_files.py

# Tandem and its peers in turn, how cost grows, the journal, live and its peer, questions; tables and plots into
# docs/performance.md. Takes hours, alone on the machine. Peers that don't fit Tandem's own environment get theirs in
# .venv-peers. After being cut off: make bench BENCH=--resume GROWTH=--resume. Parts of it: make bench-backfill, bench-live, and
# make bench-backfill BENCH="--only tandem,duckdb --forms parquet --events 1000000" GROWTH="--series keys".
BENCH  ?=
GROWTH ?=
bench:
	@failed=0; \
	$(MAKE) --no-print-directory bench-backfill || failed=1; \
	$(MAKE) --no-print-directory bench-live || failed=1; \
	exit $$failed

bench-backfill: setup
	@failed=0; run() { $(BIN)/python -m "$$@" || failed=1; }; \
	run benchmarks $(BENCH); \
	run benchmarks --jobs clicks_wide,clicks_users --only tandem,polars,duckdb --forms parquet $(BENCH); \
	run benchmarks.growth --events 1000000,10000000,100000000 $(GROWTH); \
	run benchmarks.orders --events 1000000,3000000,10000000 --rounds 3; \
	run benchmarks.parts.halves; \
	run benchmarks.parts.journal; \
	run benchmarks.parts.rebuild; \
	run benchmarks.report; \
	exit $$failed

bench-live: setup
	@failed=0; run() { $(BIN)/python -m "$$@" || failed=1; }; \
	run benchmarks.live --rate 20000 --seconds 60; \
	run benchmarks.live --rate 20000 --seconds 120 --key user_id; \
	run benchmarks.live --rate 100000 --seconds 600; \
	run benchmarks.live --catch-up 1000000; \
	run benchmarks.live --peer beam --seconds 20; \
	run benchmarks.live_firing; \
	run benchmarks.parts.delivery; \
	run benchmarks.queries --record; \
	run benchmarks.report; \
	exit $$failed

# One round over 20,000 events with what is in Tandem's own environment: does everything work, is every answer right.
bench-short: setup
	$(BIN)/python -m benchmarks --events 20000 --rounds 1 --only tandem,polars,duckdb,pandas,beam,beam-folded \
	  --results $(VENV)/bench-short
	$(BIN)/python -m pytest -q tests/benchmarks -m "slow or not slow"

bench-emulator: setup
	$(BIN)/python benchmarks/parts/emulator.py

# Resolve the dependencies anew, with hashes, for every platform.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  requirements/runtime.in requirements/gcp.in requirements/postgres.in requirements/serve.in requirements/sql.in \
	  requirements/frames.in requirements/iceberg.in requirements/plots.in requirements/otel.in requirements/dev.in -o $(LOCK)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  requirements/build.in -o requirements/build.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  requirements/docs.in -o requirements/docs.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  requirements/schemathesis.in -o requirements/schemathesis.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes -c $(LOCK) \
	  requirements/browser.in -o requirements/browser.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  requirements/deploy.in -o requirements/deploy.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes -c $(LOCK) \
	  requirements/runtime.in requirements/gcp.in requirements/postgres.in requirements/serve.in requirements/otel.in -o requirements/images.txt

lock-peers:
	for peer in bytewax flink pathway; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	    requirements/peers-$$peer.in -o requirements/peers-$$peer.txt || exit 1; \
	done

# A Flink on this machine, for `--runner flink`; see docs/how-to/run-on-flink.md. `tandem flink stop` ends it.
flink: setup
	$(BIN)/tandem flink start

clean:
	rm -rf $(VENV) $(DOCS) $(DEPLOY) build *.egg-info
