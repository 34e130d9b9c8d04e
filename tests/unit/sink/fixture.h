// SPDX-License-Identifier: Apache-2.0
// A sink on a real PostgreSQL, and a source that behaves as the spool: records by sequence number,
// pushed until the sink is busy, read again from the oldest unacknowledged one after a restart.
// One server a test program, one database a test.
#ifndef CXSINK_TESTS_SINK_FIXTURE_H
#define CXSINK_TESTS_SINK_FIXTURE_H

#include "config/load.h"
#include "core/counter.h"
#include "core/loop.h"
#include "core/mem.h"
#include "core/timer.h"
#include "event/mapping.h"
#include "json/tape.h"
#include "sink/sink.h"
#include "support/pg_server.h"
#include "support/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FIXTURE_UNUSED __attribute__((unused))
#define FIXTURE_COLUMNS 8

struct record {
    char *json;         // of a row; NULL: a dead letter
    char *payload;      // of a dead letter
    const char *stream; // a literal
    const char *detail; // of a dead letter, a literal
    int64_t received_us;
    int64_t dead_id;
};

struct fixture {
    struct loop *loop;
    struct timer tick; // so that waiting turns
    struct sink *sink;
    struct config config;
    struct config_table tables[2];
    struct config_stream streams[2];
    struct config_column columns[2][FIXTURE_COLUMNS];
    size_t keys[2][FIXTURE_COLUMNS], updates[2][FIXTURE_COLUMNS];
    char dsn[320];

    struct record *records; // record i has seq i + 1
    size_t n_records, next;
    bool pump_posted, paused;
    struct tape tape;
    struct buf cells;

    uint64_t acked;
    unsigned restarts, acks, blocks, states;
    uint64_t dead;
    char dead_reason[96];
    int64_t dead_id;
    size_t last_trouble;
    char trouble[STATUS_DETAIL_MAX]; // of the last time it was blocked
};

static struct pg_server *the_server;
static unsigned the_database;

static FIXTURE_UNUSED int fixture_server_start(void **state)
{
    (void)state;
    the_server = pg_server_start();
    return 0;
}

static FIXTURE_UNUSED int fixture_server_stop(void **state)
{
    (void)state;
    pg_server_stop(&the_server);
    return 0;
}

// --- the source ----------------------------------------------------------------------------------

static enum sink_push fixture_push_row(struct fixture *f, const struct record *record,
                                       const struct sink_origin *origin)
{
    size_t table = strcmp(record->stream, "second") == 0 ? f->streams[1].table : 0;
    struct mapping_fault faults[4];
    uint64_t hash = 0;
    buf_clear(&f->cells);
    assert_true(tape_parse(&f->tape, record->json, strlen(record->json)));
    if (mapping_extract(sink_mapping(f->sink, table), &f->tape, &f->cells, &hash, faults, 4) != 0) {
        char reason[128];
        snprintf(reason, sizeof(reason), "column.%s", faults[0].column);
        return sink_push_dead(f->sink, origin, reason, "[]", 2, record->json, strlen(record->json));
    }
    return sink_push_row(f->sink, table, origin, hash, &f->cells);
}

static void fixture_pump(void *owner)
{
    struct fixture *f = owner;
    f->pump_posted = false;
    while (f->next < f->n_records && f->sink != NULL && !f->paused &&
           sink_mapping(f->sink, 0) != NULL) {
        const struct record *record = &f->records[f->next];
        struct sink_origin origin = {.seq = f->next + 1,
                                     .received_us = record->received_us,
                                     .stream = record->stream,
                                     .dead_id = record->dead_id};
        enum sink_push pushed =
            record->json != NULL
                ? fixture_push_row(f, record, &origin)
                : sink_push_dead(f->sink, &origin, "json.syntax", record->detail,
                                 strlen(record->detail), record->payload, strlen(record->payload));
        if (pushed == SINK_BUSY)
            return;
        f->next++;
    }
}

static void fixture_pump_soon(struct fixture *f)
{
    if (!f->pump_posted)
        loop_post(f->loop, fixture_pump, f);
    f->pump_posted = true;
}

static struct record *fixture_add(struct fixture *f)
{
    f->records = mem_realloc_array(f->records, f->n_records + 1, sizeof(*f->records));
    struct record *record = &f->records[f->n_records++];
    *record = (struct record){.stream = "first", .received_us = wall_read_us()};
    fixture_pump_soon(f);
    return record;
}

static FIXTURE_UNUSED __attribute__((format(printf, 2, 3))) struct record *
row(struct fixture *f, const char *format, ...)
{
    va_list args;
    struct record *record = fixture_add(f);
    va_start(args, format);
    assert_true(vasprintf(&record->json, format, args) > 0);
    va_end(args);
    return record;
}

static FIXTURE_UNUSED struct record *dead_letter(struct fixture *f, const char *payload)
{
    struct record *record = fixture_add(f);
    record->payload = mem_strdup(payload);
    record->detail = "[{\"message\":\"a comma too many\"}]";
    return record;
}

// --- the sink's callbacks ------------------------------------------------------------------------

static void fixture_acked(void *owner, uint64_t seq)
{
    struct fixture *f = owner;
    assert_true(seq > f->acked);
    assert_true(seq <= f->n_records);
    f->acked = seq;
    f->acks++;
}

static void fixture_room(void *owner)
{
    fixture_pump_soon(owner);
}

static void fixture_state(void *owner, enum sink_state from, enum sink_state to,
                          const struct status *st)
{
    struct fixture *f = owner;
    assert_int_not_equal(from, to);
    f->states++;
    if (to != SINK_BLOCKED)
        return;
    f->blocks++;
    snprintf(f->trouble, sizeof(f->trouble), "%s", st->detail);
}

static void fixture_restarted(void *owner)
{
    struct fixture *f = owner;
    f->restarts++;
    f->next = f->acked;
    fixture_pump_soon(f);
}

static bool fixture_payload(void *owner, uint64_t seq, struct buf *payload)
{
    struct fixture *f = owner;
    assert_true(seq >= 1 && seq <= f->n_records);
    const char *json = f->records[seq - 1].json;
    if (strstr(json, "unfetchable") != NULL)
        return false;
    return buf_append_text(payload, json);
}

static void fixture_dead(void *owner, const char *stream, const char *reason, uint64_t count,
                         int64_t example_id)
{
    struct fixture *f = owner;
    assert_true(count > 0 && example_id > 0);
    assert_true(strcmp(stream, "first") == 0 || strcmp(stream, "second") == 0);
    f->dead += count;
    f->dead_id = example_id;
    snprintf(f->dead_reason, sizeof(f->dead_reason), "%s", reason);
}

// --- life ----------------------------------------------------------------------------------------

static void fixture_tick(void *owner)
{
    (void)owner;
}

// "column pointer, ..." with '*' before a key column and '-' before one that is not updated.
static FIXTURE_UNUSED void fixture_table(struct fixture *f, size_t i, const char *name,
                                         const char *const *columns)
{
    struct config_table *table = &f->tables[i];
    for (size_t c = 0; c < table->n_columns; c++)
        free(f->columns[i][c].pointer);
    *table = (struct config_table){.name = (char *)(uintptr_t)name,
                                   .table = (char *)(uintptr_t)name,
                                   .columns = f->columns[i],
                                   .key = f->keys[i],
                                   .update = f->updates[i],
                                   .newest_by = CONFIG_NONE};
    for (; *columns != NULL; columns++) {
        bool key = **columns == '*';
        bool fixed = **columns == '-';
        char *column = (char *)(uintptr_t)(*columns + (key || fixed));
        char *pointer = mem_printf("/%s", column);
        f->columns[i][table->n_columns] = (struct config_column){column, pointer};
        if (key)
            f->keys[i][table->n_key++] = table->n_columns;
        else if (!fixed)
            f->updates[i][table->n_update++] = table->n_columns;
        table->n_columns++;
    }
}

static void fixture_config(struct fixture *f)
{
    f->config = (struct config){
        .tables = f->tables,
        .n_tables = 1,
        .streams = f->streams,
        .n_streams = 2,
        .postgres = {.dsn = f->dsn,
                     .connections = 2,
                     .batch_events = 100,
                     .batch_bytes = 1 << 20,
                     .linger_us = 5 * US_PER_MS,
                     .connect_timeout_us = 5 * US_PER_S,
                     .statement_timeout_us = 10 * US_PER_S,
                     .retry_base_us = 10 * US_PER_MS,
                     .retry_cap_us = 50 * US_PER_MS,
                     .migrate = MIGRATE_AUTO},
    };
    f->streams[0] = (struct config_stream){.name = (char *)(uintptr_t) "first"};
    f->streams[1] = (struct config_stream){.name = (char *)(uintptr_t) "second"};
}

static FIXTURE_UNUSED char *query(struct fixture *f, const char *sql)
{
    return pg_server_query_as(f->dsn, sql);
}

static FIXTURE_UNUSED void run_sql(struct fixture *f, const char *sql)
{
    char *text = query(f, sql);
    if (strncmp(text, "ERROR", 5) == 0)
        fail_msg("%s: %s", text, sql);
    free(text);
}

static FIXTURE_UNUSED void assert_query(struct fixture *f, const char *sql, const char *expected)
{
    char *text = query(f, sql);
    assert_string_equal(text, expected);
    free(text);
}

// A database with `sql` run in it; table 0 is t(k, v) with key k.
static FIXTURE_UNUSED struct fixture *fixture_create(const char *sql)
{
    static const char *const columns[] = {"*k", "v", NULL};
    struct fixture *f = mem_zalloc(sizeof(*f));
    struct status st;
    char create[64];
    snprintf(create, sizeof(create), "CREATE DATABASE test%u", ++the_database);
    free(pg_server_query(the_server, create));
    snprintf(f->dsn, sizeof(f->dsn), "%s dbname=test%u", pg_server_dsn(the_server), the_database);
    metric_reset_all();
    f->loop = loop_create(&st);
    assert_non_null(f->loop);
    timer_init(&f->tick, f->loop, "tick", fixture_tick, f);
    timer_start_periodic(&f->tick, 2 * US_PER_MS);
    tape_init(&f->tape, 0);
    fixture_config(f);
    fixture_table(f, 0, "t", columns);
    run_sql(f, sql);
    return f;
}

static FIXTURE_UNUSED void fixture_start(struct fixture *f)
{
    struct sink_settings settings = {
        .loop = f->loop,
        .config = &f->config,
        .source = {{1, 2, 3}},
        .callbacks = {fixture_acked, fixture_room, fixture_state, fixture_restarted,
                      fixture_payload, fixture_dead, NULL},
        .owner = f,
    };
    f->sink = sink_create(&settings);
    sink_start(f->sink);
}

static FIXTURE_UNUSED void fixture_destroy(struct fixture *f)
{
    sink_destroy(&f->sink);
    timer_stop(&f->tick);
    loop_unpost(f->loop, f);
    loop_destroy(&f->loop);
    for (size_t i = 0; i < f->n_records; i++) {
        free(f->records[i].json);
        free(f->records[i].payload);
    }
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < f->tables[t].n_columns; i++)
            free(f->columns[t][i].pointer);
    }
    free(f->records);
    tape_deinit(&f->tape);
    buf_deinit(&f->cells);
    free(f);
}

#define wait_until(f, condition)                                                                   \
    do {                                                                                           \
        struct mono fixture_end = mono_add(mono_read(), PATIENCE_US);                              \
        while (!(condition)) {                                                                     \
            if (mono_diff(fixture_end, mono_read()) < 0)                                           \
                fail_msg("no %s; sink %s: %s", #condition, sink_state_name(sink_state((f)->sink)), \
                         sink_trouble((f)->sink)->detail);                                         \
            loop_turn((f)->loop, true);                                                            \
        }                                                                                          \
    } while (0)

// Until everything that was pushed is committed.
static FIXTURE_UNUSED void wait_acked(struct fixture *f)
{
    wait_until(f,
               f->acked == f->n_records && sink_idle(f->sink) && sink_state(f->sink) == SINK_READY);
}

#endif
