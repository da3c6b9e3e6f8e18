# What people and CI run. `make` alone lists the targets.

CARGO ?= cargo
CARGO_TARGET_DIR ?= target
VENV := $(abspath $(CARGO_TARGET_DIR))/venv

# What `make dashboard-pictures` records.
RECORDED := $(abspath $(CARGO_TARGET_DIR))/recorded

# Read by tests/e2e.
export OPENMETRICS_PYTHON := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup fmt-check clippy test load crash-test doc build bench screenshots generated dashboard-pictures clean

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Installs what `make test` needs beside Rust, where it is missing
	@tests/e2e/setup '$(VENV)'

fmt-check: ## Fails on code that is not formatted
	$(CARGO) fmt --check

# --all-targets leaves out targets with `test = false`.
clippy: ## Fails on warnings
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test e2e --test load -- -D warnings

test: setup ## Runs all tests; plain `cargo test` runs those that need only Rust
	$(CARGO) test --locked
	$(CARGO) test --locked --test e2e
	$(CARGO) test --locked --test load -- --nocapture

load: ## Polls 5,000 users against the documented limit; takes a minute
	LOAD_USERS=5000 $(CARGO) test --locked --test load -- --nocapture

crash-test: ## Kills the exporter CRASHES times (100) while it renews one-time tokens; minutes
	CRASHES=$${CRASHES:-100} $(CARGO) test --locked --test it tokens_crash -- --nocapture

doc: ## Builds the documentation of the code; fails on warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --locked

# Only release builds know their revision: a new one for every commit would compile anew each time.
build: ## Builds the program for release
	WAZZUP_EXPORTER_REVISION="$$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" \
		$(CARGO) build --release --locked

bench: ## Runs the benchmarks
	$(CARGO) bench --locked

screenshots: ## Takes the pictures in docs/img from the demo; takes three minutes
	@tests/e2e/setup '$(VENV)' pictures
	$(CARGO) test --locked --test e2e screenshots::screenshots -- --ignored

generated: ## Writes the Grafana dashboards from their source
	python3 grafana/source/build.py

# On a clock of its own, so the program has to ask the C library for the time.
dashboard-pictures: ## Draws the pictures of the dashboards in docs/img; takes three quarters of an hour
	@tests/e2e/setup '$(VENV)' pictures
	rm -rf '$(RECORDED)'
	$(CARGO) build --locked --features rustix/use-libc --target-dir '$(CARGO_TARGET_DIR)/clock'
	python3 grafana/pictures/record.py '$(CARGO_TARGET_DIR)/clock/debug/wazzup-exporter' '$(RECORDED)'
	RECORDED='$(RECORDED)' $(CARGO) test --locked --test e2e dashboards::pictures -- --ignored

clean: ## Removes everything that was built or installed here
	$(CARGO) clean
