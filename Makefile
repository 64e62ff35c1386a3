# `make help` tells what there is; `make run` and `make test` are all that a newcomer needs.

# Which build goes into packages and image: dev compiles faster, release runs faster.
PROFILE ?= release
PREFIX ?= /usr
DESTDIR ?=
BENCH ?= all
DAEMON ?=

CARGO = PATH="$$HOME/.cargo/bin:$$PATH" cargo
TARGET = $(or $(CARGO_TARGET_DIR),target)
BIN = $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
OUT = images/out/$(PROFILE)
GUEST = images/out/guest
VM = $(BIN)/quantumos-vm --guest $(GUEST)

.PHONY: help run test deps build packages image install dev dev-vm login exec stop lint bench model clean

help: ## Show what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

run: image ## Build all, boot the image with a software TPM, show the services at work; the guest stays
	images/run $(BIN) $(OUT) $(GUEST)

test: ## Run every test, those of the booted image included
	@$(MAKE) --no-print-directory PROFILE=dev image
	QUANTUMOS_IMAGE=$(CURDIR)/images/out/dev $(CARGO) test --workspace

deps: ## Install the Debian packages and the Rust that all of this needs
	@images/deps

build: deps ## Build every program
	$(CARGO) build --workspace --exclude quantumos-bus-tests --bins --profile $(PROFILE)

packages: build ## Build the Debian packages
	images/package $(BIN) $(OUT)/packages

image: packages ## Build the image with mkosi
	images/build $(OUT)/packages $(BIN)/quantumos-agent $(OUT)

install: build ## Install on this machine, or below DESTDIR, under PREFIX
	images/stage all $(BIN) "$(DESTDIR)" "$(PREFIX)"

dev: ## Run the daemons on this machine's kernel and a private bus, for quick work
	@$(MAKE) --no-print-directory PROFILE=dev build
	images/dev $(TARGET)/debug

dev-vm: ## Put one rebuilt daemon into the running guest: make dev-vm DAEMON=security-ai
	@test -n "$(DAEMON)" || { echo "say which: make dev-vm DAEMON=security-ai"; exit 1; }
	$(CARGO) build -p $(DAEMON) -p quantumos-vm --bins --profile $(PROFILE)
	$(VM) push $(BIN)/$(DAEMON)

login: ## Log in to the running guest as root, on its serial console
	@$(VM) login

exec: ## Run a command in the running guest: make exec COMMAND='quantumctl status'
	@$(VM) exec /bin/bash -c '$(COMMAND)'

stop: ## Switch the running guest off
	@$(VM) stop

lint: deps ## Check format, lints, licences (where cargo-deny is there) and the rules of the house
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	tests/rules
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check; else echo "cargo-deny is not here, licences not checked" >&2; fi

model: deps ## Train resource-ai's forecast model anew on the recorded runs, print its figures, sign it
	$(CARGO) run --release -p resource-ai --bin resource-ai-train -- train \
		--runs daemons/resource-ai/training/runs --out daemons/resource-ai/models

bench: ## Measure: every set, or one with BENCH=NAME; one line a figure on standard output
	@$(MAKE) --no-print-directory PROFILE=release image >&2
	@QUANTUMOS_IMAGE=$(CURDIR)/images/out/release $(TARGET)/release/quantumos-bench $(BENCH)

clean: ## Remove what was built
	$(CARGO) clean
	rm -rf images/out
