# SPDX-License-Identifier: Apache-2.0
# make            builds cxsink and cxsink-sim into build/
# make demo       the main job on this machine: installs what is missing, builds, runs, shows
# make check      installs what is missing, then every test
# make help       the rest

PREFIX ?= /usr/local
DESTDIR ?=
LIBEXECDIR ?= $(PREFIX)/libexec/cxsink
BUILD ?= build
VERSION := 0.1.0
CC ?= gcc

# --- sources, in the order of the layers ---------------------------------------------------------
core := backoff base64 buf clock counter fsio hash log log_event loop mem status timer uuid
config := document equal faults finish finish_jobs listen load names parse print_manual \
          print_reference print_schema reader ref secret settings suggest units values values_jobs
json := lookup members multiple number parse_avx2 parse_neon parse_portable parse_sse42 pointer tape text
schema := arena blocks choice compile dialect documents ecma ecma_class ecma_property emit_object \
          emit_unevaluated emit_value equal evaluated explain failure format format_host \
          format_uri in_place index keywords library locate metaschema names refs regex resources \
          shape subschemas track uri validate verdict
spool := crc32c cursor inspect io list position read recover scan segment spool trim write
net := address http http_again http_body http_guard http_phase http_pool http_request http_result \
       http_setup http_target http_tls resolve tls
event := cell decode mapping time
auth := token token_answer token_fetch token_request
stream := session session_end session_rx session_watch url ws ws_event
pg := array catalog catalog_check conn dsn error migrate migrations pipeline result
sink := account arrays batch batch_plan guard hold isolate notify prepare sink transact upsert writer writer_isolate
jobs := announce api base64_text breaker configure cron drop drop_file execute execute_check invoke job jobs \
        kind kind_check kind_json kind_record notify payload place publish publish_check publish_webhook \
        queue queue_claim queue_ends queue_enqueue queue_group queue_lease queue_load queue_lock \
        queue_outbox queue_params \
        queue_save queue_upkeep rate readback request run sandbox sandbox_find sandbox_process \
        sandbox_verdict semver send settle storage submission submission_common \
        submission_params
ops := admin admin_address admin_change admin_guard admin_http admin_live audit audit_chain audit_event audit_files audit_line \
       audit_read audit_recent audit_seal audit_verify history metrics page
app := actions addresses certificates daemon environment flow hold jobs limits live pipeline report streams
cli := ask audit audit_open audit_tail check check_connect check_database check_machine check_servers commands common \
       database dead dead_filter dead_purge dead_replay dead_show \
       jobs jobs_change jobs_dry_run jobs_list jobs_queue jobs_show \
       jobs_submit jobs_wait load load_position load_progress main migrate \
       names options resume run spool status status_show status_text status_watch \
       validate validate_files validate_inputs validate_jobs validate_lines \
       validate_progress validate_tell
sim := control effects event http main rest server tokens
jscheck := confine main self_test syntax

# Folders by level; an archive each. A test links its own folder and the levels below.
level0 := core
level1 := config json spool net
level2 := schema auth stream pg
level3 := event
level4 := sink jobs
level5 := ops
level6 := app
level7 := cli
folders := $(level7) $(level6) $(level5) $(level4) $(level3) $(level2) $(level1) $(level0)

# --- flags ---------------------------------------------------------------------------------------
packages := libwebsockets libpq openssl libsystemd libcurl libpcre2-8 libidn2
warnings := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wformat=2 -Wvla -Werror
hardening := -fstack-protector-strong -fstack-clash-protection -fPIE \
             -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
ifneq ($(filter x86_64,$(shell uname -m)),)
hardening += -fcf-protection
endif
ifdef SANITIZE
hardening := -fPIE -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
OPT ?= -O2 -g
# NDEBUG keeps lws_config.h from defining _DEBUG for us; our own checks do not use assert().
cflags := -std=gnu11 -D_GNU_SOURCE -DNDEBUG -DCXSINK_VERSION='"$(VERSION)"' $(OPT) $(warnings) \
          $(hardening) -Iinclude -Isrc -MMD -MP $(CFLAGS)
ldflags := -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)
package_cflags = $(shell pkg-config --cflags $(packages))
package_libs = $(shell pkg-config --libs $(packages)) -lm -lpthread

# The helper that checks action code is built where its libraries are; the daemon does without.
helper_packages := javascriptcoregtk-4.1 libseccomp
helper := $(shell pkg-config --exists $(helper_packages) && echo $(BUILD)/cxsink-jscheck)

# V=1 shows whole command lines
quiet = $(if $(V),,@echo '  $(1) $@';)
obj := $(BUILD)/obj
lib := $(BUILD)/lib
archives := $(folders:%=$(lib)/%.a)

.PHONY: all help demo check check-sanitized valgrind soak bench bench-micro bench-schema bench-sink \
        bench-queue bench-stream bench-jobs install uninstall deb check-deb clean format unit unit-build fuzz fuzz-build integration packages
.DELETE_ON_ERROR:
all: $(BUILD)/cxsink $(BUILD)/cxsink-sim $(or $(helper),no-helper)
no-helper:
	@echo "make: no cxsink-jscheck, which jobs of kind publish need: there is no $(helper_packages);" \
	  "'make packages' installs them"

define folder_rules
$(lib)/$(1).a: $($(1):%=$(obj)/$(1)/%.o)
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call quiet,AR)$$(AR) rcs $$@ $$^
endef
$(foreach f,$(folders) sim jscheck,$(eval $(call folder_rules,$(f))))

$(obj)/%.o: src/%.c | $(BUILD)/packages-found
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(cflags) $(package_cflags) -c $< -o $@

migration_files := $(sort $(wildcard sql/*.sql))
$(BUILD)/gen/pg/migrations.c: src/pg/embed-sql.sh $(migration_files)
	@mkdir -p $(@D)
	$(call quiet,GEN)sh src/pg/embed-sql.sh $(migration_files) >$@

page_files := $(sort $(wildcard src/ops/page/*))
$(BUILD)/gen/ops/page.c: src/ops/embed-page.sh $(page_files)
	@mkdir -p $(@D)
	$(call quiet,GEN)sh src/ops/embed-page.sh $(page_files) >$@

$(obj)/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(cflags) $(package_cflags) -c $< -o $@

$(BUILD)/packages-found:
	@mkdir -p $(@D)
	@pkg-config --exists --print-errors $(packages) || \
	  { echo "make: libraries are missing; 'make packages' installs them" >&2; exit 1; }
	@touch $@

$(BUILD)/cxsink: $(archives)
	$(call quiet,LD)$(CC) $(ldflags) -o $@ -Wl,--start-group $(archives) -Wl,--end-group $(package_libs)

$(BUILD)/cxsink-sim: $(lib)/sim.a $(lib)/json.a $(lib)/core.a
	$(call quiet,LD)$(CC) $(ldflags) -o $@ $^ $(package_libs)

# Where a daemon that is not installed beside it looks for the helper last.
$(obj)/jobs/sandbox_find.o: cflags += -DCXSINK_LIBEXECDIR='"$(LIBEXECDIR)"'

# Its libraries' headers are not held to our warnings.
$(jscheck:%=$(obj)/jscheck/%.o): package_cflags = \
  $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(helper_packages)))
$(BUILD)/cxsink-jscheck: $(lib)/jscheck.a $(lib)/json.a $(lib)/core.a
	$(call quiet,LD)$(CC) $(ldflags) -o $@ $^ $(shell pkg-config --libs $(helper_packages))

# --- unit tests: tests/unit/FOLDER/MODULE_test.c -------------------------------------------------
below_core := core
below_config := config core
below_json := json core
below_schema := schema json core
below_spool := spool core
below_net := net core
below_event := event json schema core
below_auth := auth net config json core
below_stream := stream net config core
below_pg := pg net config core
below_sink := sink $(level3) $(level2) $(level1) core
below_jobs := jobs event schema json pg auth net config core
below_ops := ops $(below_jobs) $(below_sink)
below_app := $(folders)
below_cli := $(folders)
below_sim := sim json core

unit_sources := $(wildcard tests/unit/*/*_test.c)
unit_tests := $(unit_sources:tests/unit/%.c=$(BUILD)/unit/%)
.SECONDARY:
.SECONDEXPANSION:
archives_below = $(below_$(1):%=$(lib)/%.a)
$(BUILD)/unit/%: tests/unit/%.c $$(call archives_below,$$(*D))
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(cflags) $(package_cflags) -Itests/unit $< -o $@ $(ldflags) -Wl,--start-group \
	  $(filter %.a,$^) -Wl,--end-group -lcmocka $(package_libs)

# --- fuzz targets: tests/fuzz/NAME_fuzz.c ---------------------------------------------------------
# build/fuzz/NAME replays the committed corpus as one more unit test. `make fuzz` builds the same
# file with clang and libFuzzer into a folder of its own, and looks for more; FUZZ_SECONDS=merge
# makes the committed corpus anew from what was found.
fuzz_names := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
fuzz_tests := $(fuzz_names:%=$(BUILD)/fuzz/%)
fuzz_packages := $(packages) json-c
fuzz_main = $(if $(LIBFUZZER),,tests/fuzz/replay.c)
$(BUILD)/fuzz/%: tests/fuzz/%_fuzz.c tests/fuzz/replay.c tests/fuzz/fuzz.h $(archives)
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(cflags) $(shell pkg-config --cflags $(fuzz_packages)) $< $(fuzz_main) -o $@ \
	  $(ldflags) $(if $(LIBFUZZER),-fsanitize=fuzzer) -Wl,--start-group $(archives) -Wl,--end-group \
	  $(shell pkg-config --libs $(fuzz_packages)) -lm -lpthread

fuzz-build: $(fuzz_tests)

FUZZ_SECONDS ?= 60
fuzz:
	@sh tests/tools/packages.sh fuzz
	@$(MAKE) --no-print-directory -j$(parallel) BUILD=$(BUILD)/fuzzing CC=clang LIBFUZZER=1 warnings=-Wall \
	  SANITIZE=address,undefined CFLAGS=-fsanitize=fuzzer-no-link fuzz-build
	@sh tests/tools/fuzz.sh $(BUILD)/fuzzing $(FUZZ_SECONDS) $(or $(FUZZ),$(fuzz_names))

unit-build: $(unit_tests) $(fuzz_tests)

unit: $(unit_tests) $(fuzz_tests)
	@sh tests/tools/run-unit.sh $(parallel) $(unit_tests) $(fuzz_tests)

# --- what installs packages, tests, shows --------------------------------------------------------
python := /usr/bin/python3
pytest := $(python) -m pytest -q -p no:cacheprovider
# how many compilers, or unit tests, at a time; and integration tests, which wait much of their time
parallel ?= 2
workers ?= 4

packages:
	@sh tests/tools/packages.sh build

demo:
	@sh tests/tools/packages.sh demo
	@$(MAKE) --no-print-directory -j$(parallel) all
	@CXSINK_BUILD=$(BUILD) $(python) tests/tools/demo.py

# Everything, with and without the sanitizers.
run_check = @MAKE='$(MAKE)' BUILD='$(BUILD)' CC='$(CC)' JOBS=$(parallel) sh tests/tools/check.sh
check:
	$(run_check) all

check-sanitized:
	$(run_check) sanitized

# What the integration tests drive beside the programs.
probes := $(BUILD)/test/http_probe
$(BUILD)/test/%: tests/integration/probe/%.c $(lib)/net.a $(lib)/json.a $(lib)/core.a
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(cflags) $(package_cflags) $< -o $@ $(ldflags) -Wl,--start-group \
	  $(filter %.a,$^) -Wl,--end-group $(package_libs)

integration: all $(probes)
	@cd tests/integration && CXSINK_BUILD=$(abspath $(BUILD)) $(pytest) -n $(workers) $(TESTS)

# One part alone, without limits: tests/bench/bench_PART.c, linked with every folder.
micro := $(filter decode schema spool,$(patsubst tests/bench/bench_%.c,%,$(wildcard tests/bench/*.c)))
$(BUILD)/bench/bench_%: tests/bench/bench_%.c $(archives)
	@mkdir -p $(@D)
	$(call quiet,LD)$(CC) $(cflags) $(package_cflags) -Itests/unit $< -o $@ $(ldflags) \
	  -Wl,--start-group $(archives) -Wl,--end-group $(package_libs)

bench-micro: $(micro:%=$(BUILD)/bench/bench_%)
	@for part in $(micro); do \
	  echo "--- $$part"; [ $$part != decode ] || set -- config/schemas/cxone-event.json; \
	  $(BUILD)/bench/bench_$$part "$$@" || exit 1; set --; done
# Beside Ajv and Blaze, where npm and the data are there.
bench-schema: $(BUILD)/bench/bench_schema
	@CXSINK_BUILD=$(BUILD) $(python) tests/bench/schema.py
bench-queue bench-sink bench-stream: bench-%: $(BUILD)/bench/bench_%
	@$<

# The daemon under valgrind through everything that happens to it; ten million events (SOAK_EVENTS).
valgrind soak:
	@sh tests/tools/packages.sh check
	@$(MAKE) --no-print-directory -j$(parallel) all
	@cd tests/integration && CXSINK_BUILD=$(abspath $(BUILD)) CXSINK_WAIT_FACTOR=5 \
	  $(if $(SOAK_EVENTS),SOAK_EVENTS=$(SOAK_EVENTS)) $(pytest) -s $@_run.py

bench:
	@sh tests/tools/packages.sh bench
	@$(MAKE) --no-print-directory -j$(parallel) all
	@CXSINK_BUILD=$(BUILD) $(python) tests/bench/bench.py $(BENCH)

# REST jobs: rate, statements, events beside them, stalls of the loop (BENCH chooses).
bench-jobs:
	@sh tests/tools/packages.sh bench
	@$(MAKE) --no-print-directory -j$(parallel) all
	@CXSINK_BUILD=$(BUILD) $(python) tests/bench/bench_jobs.py $(BENCH)

format:
	clang-format -i $$(git ls-files 'src/*.[ch]' 'include/*.h' 'tests/*.[ch]')

# --- installing: MODE:FILE:DESTINATION of everything; PREFIX is where it will be, DESTDIR where it is put
share := $(PREFIX)/share
# Where systemd looks, also for what is under /usr/local.
UNITDIR ?= $(PREFIX)/lib/systemd/system
units := cxsink.service cxsink@.service
# $(call put,FILES,FOLDER): each file of these, where there are some.
put = $(foreach f,$(wildcard $(1)),0644:$f:$(2)/$(notdir $f))
installed = \
  0755:$(BUILD)/cxsink:$(PREFIX)/bin/cxsink \
  0755:$(BUILD)/cxsink-sim:$(PREFIX)/bin/cxsink-sim \
  $(if $(helper),0755:$(helper):$(LIBEXECDIR)/cxsink-jscheck) \
  $(call put,$(units:%=systemd/%),$(UNITDIR)) \
  0644:systemd/cxsink.sysusers:$(PREFIX)/lib/sysusers.d/cxsink.conf \
  $(call put,systemd/*.catalog,$(PREFIX)/lib/systemd/catalog) \
  $(foreach n,1 5 7 8,$(call put,config/man/*.$n,$(share)/man/man$n)) \
  $(patsubst %.bash,%,$(call put,config/completion/*.bash,$(share)/bash-completion/completions)) \
  $(call put,config/completion/_*,$(share)/zsh/site-functions) \
  $(call put,config/completion/*.fish,$(share)/fish/vendor_completions.d) \
  $(call put,config/*.json config/*.md config/*.rules.yml,$(share)/cxsink) \
  $(call put,config/jobs/*,$(share)/cxsink/jobs) \
  $(call put,config/schemas/*,$(share)/cxsink/schemas)

# The units name where the programs will be, and systemd 253 and later waits for the end of a reload.
reload := $(shell pkg-config --exists 'libsystemd >= 253' && echo '-e /^ExecReload=/d -e s/^Type=.*/Type=notify-reload/')
install: all
	@for entry in $(installed); do \
	  mode=$${entry%%:*}; file=$${entry#*:}; \
	  install -D -m $$mode "$${file%%:*}" "$(DESTDIR)$${file#*:}" || exit 1; \
	  echo "  INSTALL $(DESTDIR)$${file#*:}"; done
	@sed -i $(reload) -e 's,/usr/\(bin\|share\)/cxsink,$(PREFIX)/\1/cxsink,' $(units:%=$(DESTDIR)$(UNITDIR)/%)

# What the service wrote, and /etc/cxsink, stay.
uninstall:
	@for entry in $(installed); do rm -fv "$(DESTDIR)$${entry##*:}"; done
	@for dir in $(LIBEXECDIR) $(share)/cxsink/jobs $(share)/cxsink/schemas $(share)/cxsink; do \
	  rmdir "$(DESTDIR)$$dir" 2>/dev/null || true; done

# Debian packages of this machine's release, into build/deb.
deb:
	@sh tests/tools/packages.sh deb
	@JOBS=$(parallel) sh config/packaging/deb.sh $(BUILD) $(VERSION)

# The packages built, installed, upgraded, removed and purged in clean trees of Debian 12 and 13.
check-deb:
	@sh tests/tools/packages.sh check-deb
	@$(python) tests/tools/check_deb.py $(SUITES)

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "make packages   installs what 'make' needs"
	@echo "make unit | integration | check-sanitized   parts of check (TESTS=... for pytest)"
	@echo "make bench      the measurements (BENCH=... chooses)"
	@echo "make bench-micro | bench-queue | bench-sink | bench-stream   one part alone"
	@echo "make bench-jobs REST jobs against the simulator"
	@echo "make bench-schema   parsing and validating beside Ajv and Blaze"
	@echo "make fuzz       looks for inputs that break something (FUZZ_SECONDS=60 in all, FUZZ=names)"
	@echo "make valgrind   leaks and invalid accesses;  make soak   10 million events (SOAK_EVENTS=...)"
	@echo "make install | uninstall    DESTDIR=, PREFIX=/usr/local, LIBEXECDIR=, UNITDIR="
	@echo "make deb        Debian packages into build/deb;  make check-deb   tries them in clean trees (root)"
	@echo "make format     clang-format;  make clean"

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj $(BUILD)/unit $(BUILD)/fuzz -name '*.d' 2>/dev/null)
