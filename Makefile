# Everything a contributor runs has a name here. The product itself needs only
# Go: "go build ./cmd/watchward" and "go test ./...". What else a target needs is
# said above it.

SHELL    := /bin/bash
GO       ?= go
ROUNDS   ?= 100
FUZZTIME ?= 20s
LINT     := $(GO) tool -modfile=tools/lint/go.mod
VULNDB   ?= https://vuln.go.dev
# Packages with fuzz targets, found by name.
FUZZED    = $(shell grep -rl --include='*_test.go' --exclude-dir=node_modules '^func Fuzz' . | xargs -n1 dirname | sort -u)

.PHONY: build test lint vuln race browser fault fuzz bench-record bench-play bench-identify bench-judge bench-estate bench-ledger generate check-bundle darwin bench-scan

build:
	$(GO) build -trimpath -o watchward ./cmd/watchward

# The README's promise: under two minutes, no network, no Docker, no ffmpeg, no Node.
test:
	$(GO) test ./...

# Formatting, vet, staticcheck, the import table, known vulnerabilities.
# The first run downloads and builds the tools of tools/lint/go.mod.
lint:
	@echo "lint: gofumpt"; out=$$($(LINT) gofumpt -l $$(git ls-files '*.go')) && test -z "$$out" || { echo "$$out"; echo "run: $(LINT) gofumpt -w FILE"; exit 1; }
	@echo "lint: vet"; $(GO) vet ./... && cd tools && $(GO) vet ./...
	@echo "lint: staticcheck"; $(LINT) staticcheck ./...
	@echo "lint: rooms"; $(GO) test -count=1 .
	@$(MAKE) --no-print-directory vuln
	@if [ -d internal/web/node_modules ]; then echo "lint: TypeScript"; npm --prefix internal/web run --silent check; \
	else echo "lint: TypeScript skipped: no internal/web/node_modules (npm ci)"; fi

# Asks for modules only what the database publishes; nothing is sent.
vuln:
	@if curl -fsS -m 10 -o /dev/null $(VULNDB)/index/db.json 2>/dev/null; \
	then echo "lint: govulncheck"; $(LINT) govulncheck -db $(VULNDB) ./...; \
	else echo "lint: govulncheck skipped: $(VULNDB) cannot be reached"; fi

# Needs a C compiler.
race:
	$(GO) test -race -timeout 20m ./...

# Needs Chromium. Screenshots go to screenshots/.
browser:
	WATCHWARD_BROWSER_TESTS=1 WATCHWARD_SCREENSHOTS=$(CURDIR)/screenshots $(GO) test -count=1 -timeout 20m \
		$$(grep -rl --include='*_test.go' --exclude-dir=node_modules '"WATCHWARD_BROWSER_TESTS"' . | xargs -n1 dirname | sort -u)

# kill -9 at random moments, ROUNDS times, and every fault of the simulated town.
fault:
	WATCHWARD_FAULT_ROUNDS=$(ROUNDS) $(GO) test -p 1 -count=1 -timeout 90m -run 'Fault|Kill|Crash|MayFail|Damaged|FullDisk|Gone|Stall' ./cmd/watchward ./internal/archive/... ./internal/ledger ./internal/record ./internal/seal

# Each fuzz target for FUZZTIME.
fuzz:
	@for dir in $(FUZZED); do \
		for target in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | cut -c6- | sort -u); do \
			echo "fuzz: $$dir $$target"; \
			out=$$($(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$dir 2>&1) || { echo "$$out"; exit 1; }; \
			echo "$$out" | tail -n 1; \
		done; \
	done

# Linux. ARGS go to the benchmark; PEER=PATH compares with another recorder,
# and ffmpeg in PATH is compared as well. See docs/reference/benchmarks.md.
bench-record:
	$(GO) run ./bench/record $(ARGS)

# Needs Chromium.
bench-play:
	$(GO) run ./bench/play $(ARGS)

# Labelled answers of devices: SAMPLES is their index, ARGS=-rows lists what was
# not answered right. Ends with an error where a bar is missed.
SAMPLES ?= $(or $(WATCHWARD_SHARED),../shared)/samples/index.csv
bench-identify:
	$(GO) run ./bench/identify -samples $(SAMPLES) $(ARGS)

# A million pairs of device and site against all rules, on one core; prints the bars.
bench-judge:
	$(GO) run ./bench/judge $(ARGS)

# Lists, counts and an import of 100,000 devices.
bench-estate:
	$(GO) test ./internal/estate -run '^$$' -bench . -benchtime 5x $(ARGS)

# 4 GB of disk. Exits 3 when a bar is missed.
bench-ledger:
	$(GO) run ./bench/ledger $(ARGS)

# A /24 on loopback with a simulated street on it, and nmap at the same ports where
# it is installed. Root, or a low net.ipv4.ip_unprivileged_port_start.
bench-scan:
	$(GO) run ./bench/scan $(ARGS)

# Needs Node: npm ci --prefix internal/web. What comes out is committed.
generate:
	$(GO) generate ./...

# The committed bundle is what its sources make, byte for byte.
check-bundle: generate
	git diff --exit-code -- internal/web/assets

darwin:
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/watchward
