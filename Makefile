# What people and CI run. `make` alone lists the targets.

CARGO ?= cargo
CARGO_TARGET_DIR ?= target
VENV := $(abspath $(CARGO_TARGET_DIR))/venv
TOOLS := $(abspath $(CARGO_TARGET_DIR))/tools

# What `make dashboard-pictures` records.
RECORDED := $(abspath $(CARGO_TARGET_DIR))/recorded

# Read by tests/e2e.
export OPENMETRICS_PYTHON := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup fmt-check clippy test test-current load crash-test generated goldens doc build bench \
	screenshots dashboard-pictures clean

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

# Of the tests in tests/e2e those that may run Prometheus, promtool, Alertmanager or amtool.
test-current: setup ## Repeats tests with Prometheus 3 and Alertmanager 0.31, which it builds with Go
	@tests/e2e/current '$(TOOLS)'
	set -a && . '$(TOOLS)/current.env' && \
		$(CARGO) test --locked --test e2e -- --skip page:: --skip login:: \
		--skip proxy:: --skip screenshots:: --skip manual:: --skip formats::an --skip formats::curl

load: ## Polls 5,000 users against the documented limit; takes a minute
	LOAD_USERS=5000 $(CARGO) test --locked --test load -- --nocapture

crash-test: ## Kills the exporter CRASHES times (100) in renewals of tokens and in resets; minutes
	CRASHES=$${CRASHES:-100} $(CARGO) test --locked --test it _crash -- --nocapture

generated: setup ## Writes what is made from other files: man pages, completions, Grafana's files
	GENERATE=1 $(CARGO) test --locked --bin wazzup-exporter generated
	GENERATE=1 $(CARGO) test --locked --test e2e alerting::grafana
	python3 grafana/source/build.py

goldens: ## Writes what the program shows into tests/golden; look at the diff
	GENERATE=1 $(CARGO) test --locked --test it golden::

doc: ## Builds the documentation of the code; fails on warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --locked

# Only release builds know their revision and compiler: a new one for every commit would compile anew each time.
build: ## Builds the program for release
	WAZZUP_EXPORTER_REVISION="$$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" \
		WAZZUP_EXPORTER_RUSTC="$$(rustc --version | cut -d ' ' -f 2)" \
		$(CARGO) build --release --locked

bench: ## Runs the benchmarks
	$(CARGO) bench --locked

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

clean: ## Removes everything that was built or installed here
	$(CARGO) clean
