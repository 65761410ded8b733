# The two commands that matter: `make run` and `make test`. The rest is here to be found.

DATA ?= var
ARGS ?=
DESTDIR ?=
prefix ?= /usr
PREFIX ?= $(prefix)
NICE ?=

BUILD := build/release
SHARE := build/share
INSTALLED = $(DESTDIR)$(PREFIX)/share/open-hydra
INSTALLED_DOC = $(DESTDIR)$(PREFIX)/share/doc/open-hydra
TELL_SYSTEMD = test -n '$(DESTDIR)' || test ! -d /run/systemd/system || systemctl daemon-reload
# Debian 12 has no yyjson: tools/setup puts the next release's package here (llhttp's is found by meson.build).
export PKG_CONFIG_PATH := $(CURDIR)/build/deps/yyjson/lib/pkgconfig:$(PKG_CONFIG_PATH)

WEB_SOURCES := $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*' 2>/dev/null)

.PHONY: help build go-build run test test-systemd bench fuzz adversary faults fmt lint install uninstall clean setup server web

help:
	@echo 'make run      set up this machine, build, start (DATA=dir, ARGS="--flags…")'
	@echo 'make test     set up, build with sanitizers, run every test'
	@echo 'make test-systemd  install into a Debian with systemd, boot it, use it, remove it (root; fetches 400 MB once)'
	@echo 'make build    server and dashboard (make go-build is the same)'
	@echo 'make bench    measure, side by side with what it is compared to'
	@echo 'make fuzz     fuzz for long (SECONDS=600 for each target)'
	@echo 'make adversary  every attack for long (SECONDS=30 each), while the others work (root)'
	@echo 'make faults   kills, power cuts, full disks for long (FAULTS_TIMES=20 times what `make test` does)'
	@echo 'make fmt lint format and check the sources'
	@echo 'make install  DESTDIR=… prefix=/usr (uninstall: the same the other way)'
	@echo 'make clean    remove what was built, not the state in $(DATA)'

setup:
	@tools/setup build

server: setup
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) --prefix $(PREFIX) -Dbuildtype=release
	@$(NICE) ninja -C $(BUILD) -k 10 src/open-hydra-server

# The dashboard and the gateway's pages, side by side as they are installed.
$(SHARE)/web/index.html: $(WEB_SOURCES) $(wildcard deploy/pages/*)
	@echo 'Building the dashboard'
	@cd web && { test -f node_modules/.package-lock.json && test node_modules/.package-lock.json -nt package-lock.json || npm ci --no-audit --no-fund; }
	@cd web && npm run --silent build
	@rm -rf $(SHARE) && mkdir -p $(SHARE)
	@cp -R web/dist $(SHARE)/web && cp -R deploy/pages $(SHARE)/pages

web: setup $(SHARE)/web/index.html

build: server web
go-build: build

run:
	@tools/setup run
	@$(MAKE) --no-print-directory build
	@exec $(BUILD)/src/open-hydra-server run --data $(DATA) --web $(SHARE)/web $(ARGS)

test:
	@tests/run

test-systemd:
	@tests/systemd/run

bench:
	@tools/setup bench
	@$(MAKE) --no-print-directory build
	@tests/bench/run

fuzz:
	@tools/setup test
	@tests/fuzz/run $(or $(SECONDS),600)

adversary:
	@tools/setup test
	@ADVERSARY_SECONDS=$(or $(SECONDS),30) ADVERSARY_COMBINATIONS=40 tests/run --stage adversary

faults:
	@tools/setup test
	@FAULTS_TIMES=$(or $(FAULTS_TIMES),20) tests/run faults

fmt:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

lint:
	@tools/lint

# Where it goes to the running system, systemd is told of the units. What is enabled or restarted, the administrator says.
install: build
	@meson configure $(BUILD) --prefix '$(PREFIX)'
	@$(NICE) ninja -C $(BUILD) --quiet src/open-hydra-server
	@rm -rf '$(INSTALLED)' '$(INSTALLED_DOC)' && mkdir -p '$(INSTALLED)'
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD) --no-rebuild --quiet
	@cp -R $(SHARE)/web $(SHARE)/pages '$(INSTALLED)/'
	@$(TELL_SYSTEMD)
	@test -n '$(DESTDIR)' || echo 'Installed. Next: systemctl enable --now open-hydra.target (after an upgrade: systemctl restart open-hydra.target)'

uninstall:
	@rm -rf '$(INSTALLED)' '$(INSTALLED_DOC)' '$(DESTDIR)$(PREFIX)/lib/open-hydra' '$(DESTDIR)$(PREFIX)/libexec/open-hydra'
	@rm -f '$(DESTDIR)$(PREFIX)/bin/open-hydra-server' '$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/open-hydra.conf' \
	  '$(DESTDIR)$(PREFIX)'/lib/systemd/system/open-hydra.target '$(DESTDIR)$(PREFIX)'/lib/systemd/system/open-hydra-*
	@$(TELL_SYSTEMD)

clean:
	@rm -rf build/release build/asan build/tsan build/fuzz build/share web/dist
