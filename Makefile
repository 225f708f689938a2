# The everyday commands. Each only calls a script or a CMake preset: CONTRIBUTING.md has the presets themselves.
SHELL := /bin/bash
.DEFAULT_GOAL := help

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing on Debian 12 (sudo when not root)
	@cmake/setup.sh build

build: setup ## the release binary, at build/release/gatehouse
	@cmake --preset release >/dev/null
	@cmake --build --preset release

demo: build ## a CA, the server, and a certificate for certbot; ONCE=1 stops after the check
	@cmake/setup.sh demo
	@conformance/demo.sh $(if $(ONCE),--once)

test: setup ## all tests, under AddressSanitizer and UBSan
	@cmake/setup.sh test
	@cmake --preset asan >/dev/null
	@cmake --build --preset asan
	@ctest --preset asan
	@grep -ha '^not run: ' build/asan/Testing/Temporary/LastTest.log | sort -u || true

test-threads: setup ## the concurrent tests, under ThreadSanitizer
	@cmake/setup.sh test
	@cmake --preset tsan >/dev/null
	@cmake --build --preset tsan --target $(TSAN_TESTS)
	@ctest --preset tsan -R '^($(subst $(eval ) ,|,$(TSAN_TESTS:_test=)))$$'

TSAN_TESTS := base_test http_test store_test service_test web_test app_test

mutants: setup ## break COUNT conditions (100), one at a time, and ask the tests; SEED=n, ONLY=part/of/paths,…
	@cmake/setup.sh test
	@tests/mutants/run.py --count $(or $(COUNT),100) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

kill-test: setup ## kill -9 the server KILLS times (2000) over ORDERS orders (20000); SEED=n has the same kills again
	@cmake/setup.sh test
	@cmake --preset kill >/dev/null
	@cmake --build --preset kill --target restart_test restart_server
	@GATEHOUSE_KILLS=$(or $(KILLS),2000) GATEHOUSE_ORDERS=$(or $(ORDERS),20000) $(if $(SEED),GATEHOUSE_SEED=$(SEED)) \
	  build/kill/restart_test --no-version

check-metrics: setup ## metrics, alert rules and dashboard against what a server prints; by promtool too, where it is installed
	@cmake/setup.sh test
	@cmake --preset dev >/dev/null
	@cmake --build --preset dev --target app_test
	@build/dev/app_test --no-version --source-file='*metrics_test*'
	@if command -v promtool >/dev/null; then promtool check rules packaging/monitoring/gatehouse.rules.yml; fi

attacks: setup ## attack a release build; an honest client's slowest answer with and without the attack
	@cmake/setup.sh test
	@cmake --preset kill >/dev/null
	@cmake --build --preset kill --target gatehouse attack_records
	@for attack in "stall.py build/kill/gatehouse build/kill/attack_records" "idle.py build/kill/gatehouse" \
	  "descriptors.py build/kill/gatehouse" "lanes.py build/kill/gatehouse" "disk.py build/kill/gatehouse"; do /usr/bin/python3 tests/attack/$$attack || exit 1; done

clients: build ## real ACME clients against the release binary: one table, JUnit beside it; CLIENT=lego runs one
	@cmake/setup.sh clients
	@conformance/clients/run.py $(if $(CLIENT),--only $(CLIENT))

proxies: build ## certbot through nginx, HAProxy and Caddy in front of the release binary
	@cmake/setup.sh proxies
	@conformance/proxies/run.sh

backends: build ## Gatehouse before CAs that others wrote: an EST server, built from the Go module proxy
	@cmake/setup.sh backends
	@conformance/backends/run.py

bench: bench-build ## certificates/s, CPU and latency of Gatehouse alone, beside the raw arithmetic; CLIENTS="8 16 256"
	@bench/run.py alone --clients $(or $(CLIENTS),8 16 64 256) --rounds $(or $(ROUNDS),3)

bench-peers: bench-build ## the same beside Pebble and step-ca, built from the Go module proxy
	@cmake/setup.sh bench-peers
	@bench/run.py peers --rounds $(or $(ROUNDS),5)

bench-obtain: bench-build ## seconds that lego, certbot and acme.sh (ACME_SH=path) take, beside Pebble and step-ca
	@cmake/setup.sh bench-obtain
	@bench/run.py obtain --rounds $(or $(ROUNDS),5)

bench-size: bench-build ## memory, start, and the cost with a million certificates stored
	@bench/run.py size

bench-floor: bench-build ## what no durable server can leave out, beside the raw arithmetic
	@build/bench/gatehouse-floor

bench-micro: bench-build ## Google Benchmark: the parts of one certificate
	@build/bench/gatehouse-micro

soak: bench-build ## a busy server with broken things around it, for MINUTES (30); fails when it is not sound afterwards
	@bench/soak.py --minutes $(or $(MINUTES),30)

bench-build: setup
	@cmake/setup.sh bench
	@cmake --preset bench >/dev/null
	@cmake --build --preset bench

format: ## clang-format everything
	@cmake/setup.sh lint
	@git ls-files '*.cc' '*.h' | xargs clang-format-19 -i

tidy: setup ## clang-tidy everything, with clang 19
	@cmake/setup.sh lint
	@cmake --preset tidy >/dev/null
	@cmake --build --preset tidy

coverage: setup ## line coverage of the tests, in build/coverage
	@cmake/setup.sh test
	@cmake --preset coverage >/dev/null
	@cmake --build --preset coverage
	@ctest --preset coverage
	@gcovr --root . --object-directory build/coverage --exclude tests --txt build/coverage/report.txt
	@tail -n 3 build/coverage/report.txt

fuzz: setup ## every fuzz target for SECONDS_EACH (default 60) seconds, with clang 19
	@cmake/setup.sh lint
	@cmake --preset fuzz >/dev/null
	@cmake --build --preset fuzz
	@for target in build/fuzz/*_fuzz; do echo "$$target"; mkdir -p build/fuzz/corpus/$$(basename $$target); \
	  $$target -max_total_time=$(or $(SECONDS_EACH),60) -max_len=65536 -print_final_stats=1 \
	    build/fuzz/corpus/$$(basename $$target) 2>&1 | grep -E 'ERROR|stat::number_of_executed|SUMMARY' ; \
	  test $${PIPESTATUS[0]} -eq 0 || exit 1; done

package: build ## a Debian package, at build/package/gatehouse_<version>_<architecture>.deb
	@cmake/setup.sh package
	@packaging/deb.sh

check-package: package ## try the package in a Debian 12 of its own (root)
	@packaging/check-package.sh

check-next: ## compile and test against Debian 13's libraries, in a chroot (root)
	@cmake/setup.sh package
	@packaging/check-next.sh

clean: ## remove build folders and what the demo made
	@rm -rf build demo

.PHONY: help setup build demo test test-threads mutants kill-test attacks clients proxies backends bench bench-peers bench-obtain bench-size bench-floor bench-micro bench-build soak format tidy coverage fuzz package check-package check-next clean
