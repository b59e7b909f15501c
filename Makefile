# Verbs only; npm scripts and scripts/ do the work. `make help` lists them.
SHELL := bash
PORT ?= 8080
IMAGE ?= refmodel:dev

node_modules/.installed: package.json package-lock.json .npmrc
	npm ci --no-audit --no-fund
	@touch $@

dist/.built: node_modules/.installed tsconfig.json tsconfig.build.json refmodel.ts commands.ts $(shell find common crds operator server -name '*.ts' -o -path '*/console/page/*')
	npm run --silent build
	@touch $@

.PHONY: run test e2e gpu bench screenshots check build image sbom audit help

run: dist/.built ## install, build and serve the shipped model on this machine
	node dist/refmodel.js local examples/tiny-python-llama.yaml --volume models=examples/models --port $(PORT)

test: dist/.built ## install, lint, check types and formats, run every test that needs no cluster
	npm run --silent check
	npm test --silent

e2e: dist/.built ## the whole story on a real Kubernetes cluster (KUBECONFIG, or one built here)
	npm run --silent test:e2e

gpu: dist/.built ## tests and benchmarks that need a GPU; skipped with a reason where there is none
	bash scripts/gpu.sh

bench: dist/.built ## measurements, as ratios to the alternative in the same run
	npm run --silent bench

screenshots: node_modules/.installed ## the pictures of docs/images: console and dashboard, in a real Chromium
	CHROMIUM=$$(scripts/chromium.sh) node --import tsx scripts/screenshots.ts
	CHROMIUM=$$(scripts/chromium.sh) PATH=$$PATH:$$(test/prometheus.sh) node --import tsx scripts/dashboard-picture.ts

check: node_modules/.installed ## types, lint, format, generated files
	npm run --silent check

build: dist/.built ## compile to dist/

sbom: node_modules/.installed ## a bill of materials in CycloneDX, of the lock file: dist/sbom.cdx.json
	@mkdir -p dist
	npm run --silent sbom > dist/sbom.cdx.json

audit: ## what the npm registry knows of holes in the dependencies; ends with 1 for a high one
	npm audit --omit=dev --audit-level=high

image: ## container image (docker or podman); TARGET=cuda for the CUDA variant
	$(shell command -v docker || command -v podman || echo docker) build -t $(IMAGE) --target $(or $(TARGET),cpu) -f Containerfile .

help: ## this list
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10
