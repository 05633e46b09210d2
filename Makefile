# SENTINAL from a fresh clone: `make run`. Every target installs what it needs, says what, and is quick the second time.
.DEFAULT_GOAL := help
.PHONY: help run demo test lint soak bench build image clean
MAKEFLAGS += --no-print-directory

export PATH := $(PATH):$(HOME)/.cargo/bin

# Where `make run` listens, and where it keeps its data.
export SENTINAL_LISTEN ?= 127.0.0.1:8080
export SENTINAL_DATA_DIR ?= /var/lib/sentinal

help: ## Lists the targets
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-10s %s\n", $$1, $$2 }'

run: ## Builds, starts the server, runs the demo, and serves until Ctrl-C
	@scripts/install.sh run
	@$(MAKE) build
	@exec scripts/run.sh run

demo: ## The same, and exits with the status of the demo program
	@scripts/install.sh run
	@$(MAKE) build
	@exec scripts/run.sh demo

test: ## Runs every check and every test
	@exec scripts/test.sh

lint: ## Format, clippy and shellcheck only
	@exec scripts/test.sh lint

soak: ## Kills the server again and again: 200 rounds of the crash test, a million seeds of the simulation
	@exec scripts/test.sh soak

bench: ## Measures SENTINAL beside its peers; BENCH_ARGS=--smoke is quick
	@scripts/install.sh bench
	@$(MAKE) build
	@cargo build --locked --release -p sentinal-bench
	@exec target/release/sentinal-bench $(BENCH_ARGS)

build: ## Builds the server and the agent (target/release)
	@scripts/install.sh build
	@scripts/toolchain.sh
	@scripts/build.sh release

image: ## Builds the default image, unless it is there
	@scripts/install.sh run
	@$(MAKE) build
	@exec target/release/sentinal image build-default

clean: ## Removes what was built here (images in /var/cache/sentinal stay)
	@cargo clean
