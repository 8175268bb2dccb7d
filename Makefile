# Weir: one Makefile, output in build/. `make help` lists what it can do; V=1 shows commands.
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0

B      := build
Q      := $(if $(V),,@)
say     = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(2)';)

CC         := gcc
BPF_CLANG  := $(firstword $(foreach c,clang-19 clang-18 clang-17 clang-16 clang-15 clang-14 clang,$(shell command -v $(c) 2>/dev/null)))
FUZZ_CLANG := $(BPF_CLANG)
BPFTOOL    := $(firstword $(shell command -v bpftool 2>/dev/null) /usr/sbin/bpftool)
TRIPLET    := $(shell $(CC) -print-multiarch)
PREFIX     := /usr/local

WARN       := -Wall -Wextra -Werror -Wno-unused-parameter -Wmissing-prototypes -Wstrict-prototypes
CPPFLAGS   += -D_GNU_SOURCE= -I. -Iuserspace -I$(B)
CFLAGS     += -std=gnu11 -O2 -g $(WARN) -fstack-protector-strong
LDLIBS     += -lbpf -lmnl -lyaml -ljansson
SANITIZE   := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter \
	      -Werror=implicit-function-declaration -I. -Ibpf -isystem /usr/include/$(TRIPLET)

LIB_SRC   := $(wildcard userspace/base/*.c userspace/model/*.c userspace/datapath/*.c)
WEIR_SRC  := $(wildcard userspace/weir/*.c)
TOOL_SRC  := $(wildcard tools/*.c)
UNIT_SRC  := $(wildcard tests/unit/test_*.c)
FUZZ_SRC  := $(wildcard tests/fuzz/fuzz_*.c)

LIB_OBJ   := $(LIB_SRC:%.c=$(B)/%.o)
WEIR_OBJ  := $(WEIR_SRC:%.c=$(B)/%.o)
SAN_OBJ   := $(LIB_SRC:%.c=$(B)/sanitize/%.o)
SAN_WEIR  := $(WEIR_SRC:%.c=$(B)/sanitize/%.o)
TOOLS     := $(TOOL_SRC:tools/%.c=$(B)/tools/%)
UNITS     := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)
FUZZERS   := $(FUZZ_SRC:tests/fuzz/%.c=$(B)/fuzz/%)
SKELETON  := $(B)/tc.skel.h

.PHONY: all tools check check-packet check-netns test demo bench mutate fuzz sanitize lint format \
	verifier-report install uninstall clean help setup setup-test
.DELETE_ON_ERROR:
.SECONDARY:

all: $(B)/weir tools $(B)/tc.bpf.o ## build everything (the default)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 20

# --- the programs -------------------------------------------------------------------------------

$(B)/tc.bpf.o: bpf/tc.bpf.c Makefile
	@mkdir -p $(@D)
	$(call say,BPF,$@)$(BPF_CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(SKELETON): $(B)/tc.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name tc_bpf > $@

$(B)/%.o: %.c Makefile | $(SKELETON)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/sanitize/%.o: %.c Makefile | $(SKELETON)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) $(SANITIZE) -MMD -MP -c $< -o $@

$(B)/libweir.a: $(LIB_OBJ)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(B)/sanitize/libweir.a: $(SAN_OBJ)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(B)/weir: $(WEIR_OBJ) $(B)/libweir.a
	$(call say,LD,$@)$(CC) $(CFLAGS) $^ -o $@ $(LDLIBS)

$(B)/sanitize/weir: $(SAN_WEIR) $(B)/sanitize/libweir.a
	$(call say,LD,$@)$(CC) $(CFLAGS) $(SANITIZE) $^ -o $@ $(LDLIBS)

tools: $(TOOLS)

$(B)/tools/verifier-report: LDLIBS_TOOL := -lbpf
$(B)/tools/%: tools/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MF $@.d $< -o $@ -lm $(LDLIBS_TOOL)

# --- tests --------------------------------------------------------------------------------------

$(B)/unit/%: tests/unit/%.c $(B)/sanitize/libweir.a Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS) -Itests/unit $(CFLAGS) $(SANITIZE) -MMD -MP -MF $@.d $< \
		$(B)/sanitize/libweir.a -o $@ $(LDLIBS) -lcmocka -lpthread -lm

FUZZ_FLAGS := -O1 -g -fsanitize=fuzzer,address,undefined
FUZZ_LIB   := $(wildcard userspace/base/*.c userspace/model/*.c)

$(B)/fuzz/%.o: tests/fuzz/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)$(FUZZ_CLANG) $(CPPFLAGS) $(FUZZ_FLAGS) -MMD -MP -c $< -o $@

$(B)/fuzz/fuzz_%: $(B)/fuzz/fuzz_%.o $(FUZZ_LIB) Makefile
	$(call say,FUZZ,$@)$(FUZZ_CLANG) $(CPPFLAGS) $(FUZZ_FLAGS) $< $(FUZZ_LIB) -o $@ -lyaml

PACKET_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/packet/*.c))

$(B)/packet/packet-test: $(PACKET_OBJ) $(B)/libweir.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $^ -o $@ $(LDLIBS)

$(B)/bench/rotate.bpf.o: tests/bench/rotate.bpf.c Makefile
	@mkdir -p $(@D)
	$(call say,BPF,$@)$(BPF_CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(B)/bench/rotate.skel.h: $(B)/bench/rotate.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name rotate_bpf > $@

$(B)/bench/bench_prog: tests/bench/bench_prog.c $(B)/bench/rotate.skel.h $(B)/libweir.a Makefile
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MF $@.d $< $(B)/libweir.a -o $@ $(LDLIBS)

# A make of its own builds what a test needs: this one was read before setup-test installed clang.
build = $(Q)$(MAKE) --no-print-directory

check: setup-test ## unit tests, sanitizers on, and lint
	$(build) all $(UNITS)
	$(Q)tests/run lint unit

check-packet: setup-test ## packet tables through the verified programs (root)
	$(build) all $(B)/packet/packet-test
	$(Q)tests/run packet

check-netns: setup-test ## real sockets between namespaces (root)
	$(build) all
	$(Q)tests/run netns

test: setup-test ## install what is missing, build, run every test (root)
	$(build) all $(UNITS) $(FUZZERS) $(B)/packet/packet-test
	$(Q)tests/run all

fuzz: setup-test ## run each fuzzer for FUZZ_SECONDS (default 60)
	$(build) $(FUZZERS)
	$(Q)FUZZ_SECONDS=$${FUZZ_SECONDS:-60} tests/run fuzz

mutate: setup-test ## break the data path in twenty places; at least 18 must turn tests red (root)
	$(build) all
	$(Q)tests/mutate

bench: setup-test ## measure against plain routing and nftables; build/bench.json (root)
	$(build) all $(B)/bench/bench_prog
	$(Q)tests/bench/run

demo: setup-test ## a network of namespaces, real traffic, a drained backend (root)
	$(build) all
	$(Q)tools/demo

sanitize: $(B)/sanitize/weir $(UNITS) ## build all of user space with ASan and UBSan

verifier-report: all ## instructions, stack and size of each program as loaded here (root)
	$(Q)$(B)/tools/verifier-report $(B)/tc.bpf.o

# --- the rest -----------------------------------------------------------------------------------

setup: ## install what the build needs (apt, root)
	$(Q)tools/setup

setup-test: ## install what the tests need as well
	$(Q)tools/setup --test

C_FILES := $(shell git ls-files --cached --others --exclude-standard '*.c' '*.h' 2>/dev/null)

lint: ## formatting, who includes whom, man pages, scripts
	$(Q)tools/lint

format: ## apply .clang-format
	$(Q)clang-format -i $(C_FILES)

install: all ## into $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/share/man/man8 \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 755 $(B)/weir $(DESTDIR)$(PREFIX)/sbin/weir
	install -m 644 userspace/man/weir.8 $(DESTDIR)$(PREFIX)/share/man/man8/weir.8
	install -m 644 userspace/man/weir.yaml.5 $(DESTDIR)$(PREFIX)/share/man/man5/weir.yaml.5
	$(B)/weir completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/weir

uninstall: ## what install put there
	rm -f $(DESTDIR)$(PREFIX)/sbin/weir $(DESTDIR)$(PREFIX)/share/man/man8/weir.8 \
		$(DESTDIR)$(PREFIX)/share/man/man5/weir.yaml.5 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/weir

clean: ## remove build/
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
