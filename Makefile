# lead_funnel: build, install, test. CONTRIBUTING.md says which target does what.

EXTENSION  = lead_funnel
# not VERSION: PGXS means PostgreSQL's own by that
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" lead_funnel.control)
MODULE_big = lead_funnel
OBJS = \
	src/lead_funnel.o \
	src/lead_stage.o \
	src/qualification.o \
	src/verdict.o \
	src/bant.o \
	src/engagement.o \
	src/settings.o \
	src/funnel.o \
	src/rules.o \
	src/gate.o \
	src/evidence.o \
	src/commit_gate.o \
	src/explain.o \
	src/lead_row.o \
	src/lead_table.o \
	src/journal.o \
	src/last_rows.o \
	src/sum.o \
	src/cells.o \
	src/stats.o \
	src/automatic.o \
	src/event.o \
	src/moves.o \
	src/notify.o \
	src/handshake.o \
	src/adopted.o \
	src/queue.o \
	src/settle.o \
	src/fold.o \
	src/reading.o \
	src/last_date.o \
	src/readers.o \
	src/track.o \
	src/calendar.o \
	src/business_time.o \
	src/sla.o \
	src/admin.o \
	src/ddl.o \
	src/score_model.o \
	src/score_bind.o \
	src/score_loose.o \
	src/score.o \
	src/score_plan.o \
	src/ledger.o

# The install script is a product, the parts in the order of their names; upgrade scripts are written by hand.
SCRIPT     := sql/lead_funnel--$(EXTVERSION).sql
PARTS      := $(sort $(wildcard sql/parts/*.sql))
DATA_built := $(SCRIPT)
DATA       := $(sort $(wildcard sql/lead_funnel--*--*.sql))
DOCS       := $(sort $(wildcard doc/*.md))

# More compiler flags, such as -Werror, belong in COPT: PG_CFLAGS on the command line would replace these.
PG_CPPFLAGS = -Isrc -DLEAD_FUNNEL_VERSION='"$(EXTVERSION)"'
PG_CFLAGS   = -Wall -Wextra -Wshadow -Wmissing-prototypes \
	-Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers

PG_CONFIG ?= pg_config
PGXS      := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
PG_TEST   := $(dir $(PGXS))../test

# Tests are found by name; a regress test called "setup" runs first. pgxs.mk looks at these lists while it is read.
names        = $(sort $(basename $(notdir $(wildcard $(1)))))
SPECS       := $(call names,test/specs/*.spec)
REGRESS     := $(filter setup,$(call names,test/sql/*.sql)) $(filter-out setup,$(call names,test/sql/*.sql))
REGRESS     := $(strip $(REGRESS))
# Debian's PostgreSQL 13 has no pg_isolation_regress
ISOLATION   := $(if $(wildcard $(PG_TEST)/isolation/pg_isolation_regress),$(SPECS))
PROVE_TESTS := $(sort $(wildcard test/t/*.pl))
TAP_TESTS   := $(if $(PROVE_TESTS),1)
# expected/ is at the top: up to PostgreSQL 15 it is looked for in the output folder, from 16 on in "." by default
REGRESS_OPTS   = --inputdir=test --outputdir=.
ISOLATION_OPTS = --inputdir=test --outputdir=.

EXTRA_CLEAN = src/.built-for test_output results log output_iso tmp_check tmp_check_iso regression.diffs regression.out

ifneq ($(PGXS),)
include $(PGXS)
else
all install installcheck clean:
	@echo >&2 "$(PG_CONFIG) knows no PGXS: install PostgreSQL's server headers (Debian: postgresql-server-dev-NN) or set PG_CONFIG"; exit 1
endif

# doc/views.md and its like are names that other extensions may use, too
docmoduledir := extension/lead_funnel

$(SCRIPT): $(PARTS) sql/parts lead_funnel.control
	awk 1 $(PARTS) /dev/null >$@

# Objects made for another server or with other flags are not reused: this file changes only when its contents do.
src/.built-for: FORCE
	@echo "$(EXTVERSION) $$($(PG_CONFIG) --version) $(CC) $(CFLAGS)" | cmp -s - $@ || \
	echo "$(EXTVERSION) $$($(PG_CONFIG) --version) $(CC) $(CFLAGS)" >$@
$(OBJS) $(OBJS:.o=.bc): src/.built-for $(wildcard src/*.h)

# From a fresh clone on Debian: installs what is missing, starts servers of its own, leaves the system's alone.
demo test bench fuzz:
	@test/run/prepare.sh $@

# Checks that need more time or more packages than the tests; CONTRIBUTING.md says what each is for
lint matrix coverage:
	@test/check/$@.sh
check-cassert check-asan check-valgrind:
	@test/check/$(@:check-%=%).sh
indent:
	@test/check/lint.sh indent
# By hand, since it needs two servers: installs the extension in both
check-upgrade:
	@test/check/upgrade.sh
export OLD_PG_CONFIG NEW_PG_CONFIG

# What test/run/kind_NAME.sh calls, with OUT (a folder, where it puts expected/, too) and CONF (settings for the server)
own_server = --bindir=$(bindir) --temp-instance=$(OUT)/instance --temp-config=$(CONF) --no-locale --encoding=UTF8 \
	--inputdir=test --outputdir=$(OUT) $(if $(filter-out 13 14 15,$(MAJORVERSION)),--expecteddir=$(OUT))
kind-regress:
	@echo "tests: $(REGRESS)"
	$(if $(REGRESS),$(PG_TEST)/regress/pg_regress $(own_server) --dbname=contrib_regression $(REGRESS))
kind-isolation:
	@echo "tests: $(or $(ISOLATION),$(SPECS))"
	$(if $(ISOLATION),$(PG_TEST)/isolation/pg_isolation_regress $(own_server) --dbname=isolation_regression $(ISOLATION))
kind-tap:
	@echo "tests: $(PROVE_TESTS)"
	$(if $(PROVE_TESTS),$(prove_installcheck))

.PHONY: FORCE demo test bench fuzz lint indent matrix coverage check-cassert check-asan check-valgrind check-upgrade \
	kind-regress kind-isolation kind-tap
.DELETE_ON_ERROR:
