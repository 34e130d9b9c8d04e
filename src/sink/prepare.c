// SPDX-License-Identifier: Apache-2.0
// Before a lane writes: the migrations (once), then the catalog of every table in use, compared
// with the configuration. One lane at a time does it, for all of them.
#include "sink/sink_priv.h"

#include "config/load.h"
#include "core/log.h"
#include "core/log_event.h"
#include "core/mem.h"
#include "pg/catalog.h"
#include "pg/migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A lane that finds another one preparing looks again after this.
#define TURN_WAIT_US (50 * US_PER_MS)

static const struct config *config_of(const struct lane *lane)
{
    return lane->sink->settings.config;
}

static bool table_used(const struct config *config, size_t table)
{
    for (size_t i = 0; i < config->n_streams; i++) {
        if (config->streams[i].table == table)
            return true;
    }
    return false;
}

static void drop_catalog(struct prepare *prepare)
{
    for (size_t i = 0; i < prepare->n_catalog; i++)
        catalog_table_deinit(&prepare->catalog[i]);
    free(prepare->catalog);
    prepare->catalog = NULL;
    prepare->n_catalog = 0;
}

void prepare_cancel(struct lane *lane)
{
    struct prepare *prepare = &lane->sink->prepare;
    if (prepare->lane != lane)
        return;
    migrate_cancel(&prepare->run);
    drop_catalog(prepare);
    prepare->lane = NULL;
}

// Ends it with an error, and does with the lane what the error asks for.
static void give_up(struct lane *lane, const struct pg_error *error)
{
    enum pg_class class = pg_classify(error->sqlstate);
    prepare_cancel(lane);
    if (class == PG_CLASS_RECONNECT)
        lane_lost(lane, error);
    else if (class == PG_CLASS_RETRY)
        lane_retry(lane, error);
    else
        lane_block(lane, error);
}

static void block(struct lane *lane, const char *message)
{
    struct pg_error error = {0};
    snprintf(error.message, sizeof(error.message), "%s", message);
    prepare_cancel(lane);
    lane_block(lane, &error);
}

// --- migrations ----------------------------------------------------------------------------------

static void on_migrated(void *owner, const struct migrate_outcome *outcome)
{
    struct lane *lane = owner;
    struct prepare *prepare = &lane->sink->prepare;
    prepare->run = NULL;
    prepare->migrated = true;
    prepare->code = outcome->code;
    memcpy(prepare->error.sqlstate, outcome->sqlstate, sizeof(prepare->error.sqlstate));
    snprintf(prepare->error.message, sizeof(prepare->error.message), "%s", outcome->detail);
    if (outcome->code == STATUS_OK && outcome->applied != 0)
        log_info(NULL, "database schema brought to version %u by %u migration%s", outcome->version,
                 outcome->applied, outcome->applied == 1 ? "" : "s");
}

static void send_catalog(struct lane *lane)
{
    struct prepare *prepare = &lane->sink->prepare;
    const struct config *config = config_of(lane);
    prepare->migrating = false;
    prepare->at = 0;
    prepare->failed = false;
    prepare->n_catalog = config->n_tables;
    prepare->catalog = mem_zalloc(config->n_tables * sizeof(*prepare->catalog));
    for (size_t i = 0; i < config->n_tables; i++) {
        if (table_used(config, i))
            (void)!catalog_send(lane->conn, &config->tables[i]);
    }
    (void)!pg_sync(lane->conn);
}

static void after_migration(struct lane *lane)
{
    struct prepare *prepare = &lane->sink->prepare;
    if (prepare->code == STATUS_OK) {
        lane->sink->migrated = true;
        send_catalog(lane);
    } else if (prepare->error.sqlstate[0] != '\0' || prepare->code == STATUS_UNAVAILABLE) {
        struct pg_error error = prepare->error;
        give_up(lane, &error);
    } else {
        struct pg_error error = prepare->error;
        block(lane, error.message);
    }
}

// --- catalog -------------------------------------------------------------------------------------

struct fault_list {
    struct buf all;   // every fault, to see whether they are new
    struct buf first; // the sentence of the first
};

static void on_fault(void *owner, const char *message, const char *sql)
{
    struct fault_list *list = owner;
    bool has_sql = sql != NULL && sql[0] != '\0';
    if (list->first.len == 0)
        buf_printf(&list->first, "%s%s%s", message, has_sql ? "; to mend it: " : "",
                   has_sql ? sql : "");
    buf_printf(&list->all, "%s%s%s%c", message, has_sql ? "; to mend it: " : "", has_sql ? sql : "",
               0);
}

static void check_tables(struct lane *lane, struct fault_list *list)
{
    const struct config *config = config_of(lane);
    struct prepare *prepare = &lane->sink->prepare;
    for (size_t i = 0; i < prepare->n_catalog; i++) {
        if (table_used(config, i))
            catalog_check(&prepare->catalog[i], &config->tables[i], on_fault, list);
    }
}

// Each fault once, but for the first, which blocks the lane and is told there: again only when the
// list is another one.
static void log_faults(struct sink *sink, const struct fault_list *list)
{
    if (sink->faults.len == list->all.len &&
        (list->all.len == 0 || memcmp(sink->faults.data, list->all.data, list->all.len) == 0))
        return;
    size_t first = list->first.len + 1;
    for (size_t at = first; at < list->all.len; at += strlen(list->all.data + at) + 1)
        log_event(LOG_ID_DATABASE_BLOCKED, NULL, "%s", list->all.data + at);
    buf_clear(&sink->faults);
    buf_append(&sink->faults, list->all.data, list->all.len);
}

static enum status_code build_tables(struct lane *lane, struct tables *tables_r, struct status *st)
{
    const struct config *config = config_of(lane);
    enum status_code code = STATUS_OK;
    tables_r->count = config->n_tables;
    tables_r->items = mem_zalloc(config->n_tables * sizeof(*tables_r->items));
    for (size_t i = 0; i < config->n_tables && code == STATUS_OK; i++) {
        if (table_used(config, i))
            code = upsert_build(&config->tables[i], &lane->sink->prepare.catalog[i],
                                &tables_r->items[i], st);
    }
    if (code != STATUS_OK)
        tables_deinit(tables_r);
    return code;
}

static bool tables_equal(const struct tables *a, const struct tables *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!upsert_equal(&a->items[i], &b->items[i]))
            return false;
    }
    return true;
}

// The catalog is as the configuration wants it: the same as before, or to be installed.
static void install(struct lane *lane)
{
    struct sink *sink = lane->sink;
    struct tables tables = {0};
    struct status st;
    if (build_tables(lane, &tables, &st) != STATUS_OK) {
        block(lane, st.detail);
        return;
    }
    prepare_cancel(lane);
    if (sink_has_tables(sink) && tables_equal(&tables, &sink->tables)) {
        tables_deinit(&tables);
        lane_continue(lane);
        return;
    }
    tables_deinit(&sink->incoming);
    sink->incoming = tables;
    sink->install = true;
    sink_wake(sink);
}

static void finish(struct lane *lane)
{
    struct prepare *prepare = &lane->sink->prepare;
    struct fault_list list = {0};
    if (prepare->failed) {
        struct pg_error error = prepare->error;
        give_up(lane, &error);
        return;
    }
    check_tables(lane, &list);
    log_faults(lane->sink, &list);
    if (list.first.len != 0)
        block(lane, buf_text(&list.first));
    else
        install(lane);
    buf_deinit(&list.all);
    buf_deinit(&list.first);
}

// --- events --------------------------------------------------------------------------------------

void prepare_start(struct lane *lane)
{
    struct prepare *prepare = &lane->sink->prepare;
    enum config_migrate mode = config_of(lane)->postgres.migrate;
    if (prepare->lane != NULL && prepare->lane != lane) {
        lane_set_state(lane, LANE_WAITING);
        timer_start(&lane->retry, TURN_WAIT_US);
        return;
    }
    prepare_cancel(lane);
    *prepare = (struct prepare){.lane = lane};
    lane_set_state(lane, LANE_PREPARING);
    if (mode == MIGRATE_OFF || lane->sink->migrated) {
        send_catalog(lane);
        return;
    }
    prepare->migrating = true;
    prepare->run = migrate_start(lane->conn, mode == MIGRATE_AUTO ? MIGRATE_APPLY : MIGRATE_VERIFY,
                                 on_migrated, lane);
}

static void read_catalog(struct lane *lane, const struct pg_result *result)
{
    struct prepare *prepare = &lane->sink->prepare;
    const struct config *config = config_of(lane);
    while (prepare->at < prepare->n_catalog && !table_used(config, prepare->at))
        prepare->at++;
    if (prepare->at == prepare->n_catalog)
        return;
    size_t i = prepare->at++;
    // A table that is missing stays empty, and catalog_check says so.
    (void)!catalog_read(result, &config->tables[i], &prepare->catalog[i], NULL);
}

void prepare_result(struct lane *lane, const struct pg_result *result, const struct pg_error *error)
{
    struct prepare *prepare = &lane->sink->prepare;
    if (prepare->migrating) {
        if (prepare->run != NULL)
            migrate_result(prepare->run, result, error);
    } else if (error == NULL) {
        read_catalog(lane, result);
    } else if (!prepare->failed) {
        prepare->failed = true;
        prepare->error = *error;
    }
}

void prepare_synced(struct lane *lane)
{
    struct prepare *prepare = &lane->sink->prepare;
    if (prepare->lane != lane)
        return; // read already; sink_notify installs
    if (!prepare->migrating) {
        finish(lane);
        return;
    }
    if (prepare->run != NULL)
        migrate_synced(prepare->run);
    if (prepare->migrated)
        after_migration(lane);
}
