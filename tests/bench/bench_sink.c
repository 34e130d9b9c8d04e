// SPDX-License-Identifier: Apache-2.0
// The sink alone: rows whose cells are made beforehand, through lanes into a real PostgreSQL.
//
//   bench_sink [ROWS [LANES [BATCH_EVENTS]]]
//
// Uses $CXSINK_PG_DSN, where it empties public.cxone_events, or else a private server without
// fsync. Prints rows a second and the CPU time of this process a row: first every row is new, then
// every row is there already, with another value.
#include "config/load.h"
#include "core/clock.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/loop.h"
#include "event/mapping.h"
#include "json/tape.h"
#include "sink/sink.h"
#include "support/pg_server.h"

#include <sys/resource.h>

#define KEY_DIGITS 10

static const char event[] =
    "{\"interactionId\":\"8f14e45f-ceea-467f-9d2b-3d0c2f5b7a11\","
    "\"timestamp\":\"2025-03-14T09:26:53.589Z\",\"type\":\"call\","
    "\"idempotencyKey\":\"evt-0000000000\",\"attributes\":{\"duration\":412.5,"
    "\"disposition\":\"resolved\",\"queueName\":\"support\",\"agentId\":\"agent-0042\"}}";

static struct config_column columns[] = {
    {"interaction_id", "/interactionId"},
    {"timestamp", "/timestamp"},
    {"type", "/type"},
    {"idempotency_key", "/idempotencyKey"},
    {"duration", "/attributes/duration"},
    {"disposition", "/attributes/disposition"},
    {"queue_name", "/attributes/queueName"},
    {"agent_id", "/attributes/agentId"},
    {"attributes", "/attributes"},
};
static size_t key[] = {3};
static size_t update[] = {1, 4, 5, 6, 7, 8};
static struct config_table table = {.name = "cxone_events",
                                    .table = "cxone_events",
                                    .columns = columns,
                                    .n_columns = sizeof(columns) / sizeof(*columns),
                                    .key = key,
                                    .n_key = 1,
                                    .update = update,
                                    .n_update = sizeof(update) / sizeof(*update),
                                    .newest_by = 1,
                                    .touch = "updated_at"};
static struct config_stream stream = {.name = "bench"};

struct bench {
    struct loop *loop;
    struct sink *sink;
    struct buf cells;
    size_t key_at, value_at; // in the cells: the key's digits, a byte of the disposition
    uint64_t rows, next, acked;
    uint64_t seq; // of the last row of the rounds before
    int64_t now_us;
    bool posted;
};

static void fail(const char *what)
{
    fprintf(stderr, "bench_sink: %s\n", what);
    exit(1);
}

static void encode(struct bench *b)
{
    struct tape tape;
    uint64_t hash;
    struct mapping_fault fault;
    tape_init(&tape, 0);
    if (!tape_parse(&tape, event, sizeof(event) - 1) ||
        mapping_extract(sink_mapping(b->sink, 0), &tape, &b->cells, &hash, &fault, 1) != 0)
        fail("the event does not fit the table");
    tape_deinit(&tape);
    b->key_at =
        (size_t)((char *)memmem(b->cells.data, b->cells.len, "evt-", 4) - b->cells.data) + 4;
    b->value_at =
        (size_t)((char *)memmem(b->cells.data, b->cells.len, "resolved", 8) - b->cells.data);
}

// Row `i` of a round: the template with another key.
static uint64_t set_key(struct bench *b, uint64_t i)
{
    char *digits = b->cells.data + b->key_at;
    for (int d = KEY_DIGITS - 1; d >= 0; d--, i /= 10)
        digits[d] = (char)('0' + i % 10);
    return hash_bytes(digits, KEY_DIGITS, 0);
}

static void pump(void *owner)
{
    struct bench *b = owner;
    b->posted = false;
    while (b->next < b->rows) {
        struct sink_origin origin = {
            .seq = b->seq + b->next + 1, .received_us = b->now_us, .stream = stream.name};
        if (sink_push_row(b->sink, 0, &origin, set_key(b, b->next), &b->cells) == SINK_BUSY)
            return;
        b->next++;
    }
    sink_flush(b->sink);
}

static void pump_soon(void *owner)
{
    struct bench *b = owner;
    if (!b->posted)
        loop_post(b->loop, pump, b);
    b->posted = true;
}

static void on_acked(void *owner, uint64_t seq)
{
    struct bench *b = owner;
    b->acked = seq;
}

static void on_restarted(void *owner)
{
    struct bench *b = owner;
    if (b->acked != 0)
        fail("the sink restarted in the middle");
    encode(b);
}

static double cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void run_round(struct bench *b, const char *name, char value)
{
    double cpu = cpu_us();
    struct mono begin = mono_read();
    struct sink_stats before, after;
    sink_stat(b->sink, &before);
    b->cells.data[b->value_at] = value;
    b->seq += b->next;
    b->next = 0;
    b->now_us = wall_read_us();
    pump_soon(b);
    while (b->acked < b->seq + b->rows)
        loop_turn(b->loop, true);
    double seconds = (double)mono_diff(mono_read(), begin) / US_PER_S;
    cpu = cpu_us() - cpu;
    sink_stat(b->sink, &after);
    printf("%-8s %9.0f rows/s  %.3f us CPU a row  %llu batches  inserted %llu updated %llu "
           "unchanged %llu retries %llu\n",
           name, (double)b->rows / seconds, cpu / (double)b->rows,
           (unsigned long long)(after.batches - before.batches),
           (unsigned long long)(after.inserted - before.inserted),
           (unsigned long long)(after.updated - before.updated),
           (unsigned long long)(after.unchanged - before.unchanged),
           (unsigned long long)(after.retries - before.retries));
}

static unsigned long argument(int argc, char **argv, int i, unsigned long otherwise)
{
    return argc > i ? strtoul(argv[i], NULL, 10) : otherwise;
}

static void run(struct bench *b, const struct config *config)
{
    struct status st;
    b->loop = loop_create(&st);
    if (b->loop == NULL)
        fail(st.detail);
    struct sink_settings settings = {
        .loop = b->loop,
        .config = config,
        .source = uuid_random(),
        .callbacks = {.acked = on_acked, .room = pump_soon, .restarted = on_restarted},
        .owner = b,
    };
    b->sink = sink_create(&settings);
    sink_start(b->sink);
    while (sink_state(b->sink) != SINK_READY)
        loop_turn(b->loop, true);
    free(pg_server_query_as(config->postgres.dsn, "TRUNCATE public.cxone_events"));
    run_round(b, "new", 'r');
    run_round(b, "update", 'R');
    run_round(b, "same", 'R');
    sink_destroy(&b->sink);
    loop_destroy(&b->loop);
    buf_deinit(&b->cells);
}

int main(int argc, char **argv)
{
    char *dsn = getenv("CXSINK_PG_DSN");
    struct pg_server *server = NULL;
    struct bench b = {.rows = argument(argc, argv, 1, 1000000)};
    log_init(LOG_TARGET_TEXT, LOG_LEVEL_WARN);
    if (dsn == NULL) {
        server = pg_server_start();
        dsn = server->dsn;
    }
    struct config config = {
        .tables = &table,
        .n_tables = 1,
        .streams = &stream,
        .n_streams = 1,
        .postgres = {.dsn = dsn,
                     .connections = (unsigned)argument(argc, argv, 2, 2),
                     .batch_events = (unsigned)argument(argc, argv, 3, 2000),
                     .batch_bytes = 1 << 20,
                     .linger_us = 10 * US_PER_MS,
                     .connect_timeout_us = 5 * US_PER_S,
                     .statement_timeout_us = 30 * US_PER_S,
                     .retry_base_us = US_PER_S / 2,
                     .retry_cap_us = 30 * US_PER_S},
    };
    run(&b, &config);
    pg_server_stop(&server);
    return 0;
}
