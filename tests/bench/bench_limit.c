// SPDX-License-Identifier: Apache-2.0
// The limit: a bare libpq program that sends rows like the simulator's events from memory, as
// binary arrays through unnest, over two connections, one transaction a batch. Nothing but
// PostgreSQL can be slower.
//
// bench_limit DSN ROWS [SHIFT_MS]   prints: rows seconds cpu_seconds
#include <arpa/inet.h>
#include <endian.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define CONNECTIONS 2
#define BATCH 2000
#define COLUMNS 9
// PostgreSQL's epoch, 2000-01-01, to 2026-01-01 in microseconds.
#define EPOCH_US (INT64_C(820540800) * 1000000)

static const unsigned types[COLUMNS] = {25, 1184, 25, 25, 701, 25, 25, 25, 3802};
static const unsigned array_types[COLUMNS] = {1009, 1185, 1009, 1009, 1022, 1009, 1009, 1009, 3807};

static const char sql[] =
    "INSERT INTO cxone_events AS t (interaction_id, \"timestamp\", type, idempotency_key, duration,"
    " disposition, queue_name, agent_id, attributes) SELECT * FROM unnest($1::text[],"
    " $2::timestamptz[], $3::text[], $4::text[], $5::float8[], $6::text[], $7::text[], $8::text[],"
    " $9::jsonb[]) ON CONFLICT (idempotency_key) DO UPDATE SET \"timestamp\" ="
    " EXCLUDED.\"timestamp\", duration = EXCLUDED.duration, disposition = EXCLUDED.disposition,"
    " queue_name = EXCLUDED.queue_name, agent_id = EXCLUDED.agent_id, attributes ="
    " EXCLUDED.attributes, updated_at = now() WHERE EXCLUDED.\"timestamp\" >= t.\"timestamp\"";

struct array {
    char *data;
    size_t len, cap;
};

struct lane {
    PGconn *conn;
    struct array columns[COLUMNS];
    bool busy;
};

static void put(struct array *a, const void *data, size_t n)
{
    if (a->len + n > a->cap) {
        a->cap = (a->len + n) * 2;
        a->data = realloc(a->data, a->cap);
        if (a->data == NULL)
            abort();
    }
    memcpy(a->data + a->len, data, n);
    a->len += n;
}

static void put32(struct array *a, uint32_t value)
{
    value = htonl(value);
    put(a, &value, 4);
}

static void put_cell(struct array *a, const void *data, size_t n)
{
    put32(a, (uint32_t)n);
    put(a, data, n);
}

static void put_text(struct array *a, const char *text)
{
    put_cell(a, text, strlen(text));
}

static void put_row(struct lane *lane, uint64_t n, int64_t shift_ms)
{
    static const char *const kinds[] = {"call", "chat", "email", "callback"};
    static const char *const queues[] = {"support", "billing", "sales-north", "returns"};
    struct array *c = lane->columns;
    char text[256];
    uint64_t when = htobe64((uint64_t)(EPOCH_US + ((int64_t)n + shift_ms) * 1000));
    double number = 10.5 + (double)(n % 89);
    uint64_t bits;
    memcpy(&bits, &number, 8);
    bits = htobe64(bits);
    put_cell(&c[0], text,
             (size_t)snprintf(text, sizeof(text), "int-%012llu", (unsigned long long)n / 3));
    put_cell(&c[1], &when, 8);
    put_text(&c[2], kinds[n & 3]);
    put_cell(&c[3], text,
             (size_t)snprintf(text, sizeof(text), "sim001-%012llu", (unsigned long long)n));
    put_cell(&c[4], &bits, 8);
    put_text(&c[5], "resolved");
    put_text(&c[6], queues[n >> 2 & 3]);
    put_cell(&c[7], text,
             (size_t)snprintf(text, sizeof(text), "agent-%04llu", (unsigned long long)n % 10000));
    put_cell(
        &c[8], text,
        (size_t)snprintf(text, sizeof(text),
                         "\1{\"duration\":%.1f,\"disposition\":\"resolved\",\"queueName\":\"%s\","
                         "\"agentId\":\"agent-%04llu\"}",
                         number, queues[n >> 2 & 3], (unsigned long long)n % 10000));
}

static void send_batch(struct lane *lane, uint64_t first, uint64_t count, int64_t shift_ms)
{
    const char *values[COLUMNS];
    int lengths[COLUMNS], formats[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) {
        lane->columns[i].len = 0;
        put32(&lane->columns[i], 1);
        put32(&lane->columns[i], 0);
        put32(&lane->columns[i], types[i]);
        put32(&lane->columns[i], (uint32_t)count);
        put32(&lane->columns[i], 1);
    }
    for (uint64_t n = 0; n < count; n++)
        put_row(lane, first + n * CONNECTIONS, shift_ms);
    for (int i = 0; i < COLUMNS; i++) {
        values[i] = lane->columns[i].data;
        lengths[i] = (int)lane->columns[i].len;
        formats[i] = 1;
    }
    if (!PQsendQueryParams(lane->conn, "BEGIN", 0, NULL, NULL, NULL, NULL, 0) ||
        !PQsendQueryParams(lane->conn, sql, COLUMNS, array_types, values, lengths, formats, 0) ||
        !PQsendQueryParams(lane->conn, "COMMIT", 0, NULL, NULL, NULL, NULL, 0) ||
        !PQpipelineSync(lane->conn)) {
        fprintf(stderr, "bench_limit: %s", PQerrorMessage(lane->conn));
        exit(1);
    }
    lane->busy = true;
}

static void drain(struct lane *lane)
{
    while (lane->busy && !PQisBusy(lane->conn)) {
        PGresult *result = PQgetResult(lane->conn);
        ExecStatusType status = result != NULL ? PQresultStatus(result) : PGRES_COMMAND_OK;
        if (status == PGRES_PIPELINE_SYNC)
            lane->busy = false;
        else if (status != PGRES_COMMAND_OK) {
            fprintf(stderr, "bench_limit: %s", PQerrorMessage(lane->conn));
            exit(1);
        }
        PQclear(result);
    }
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct lane lanes[CONNECTIONS] = {0};
    uint64_t sent[CONNECTIONS] = {0};
    if (argc < 3)
        return 64;
    uint64_t rows = strtoull(argv[2], NULL, 10);
    int64_t shift = argc > 3 ? strtoll(argv[3], NULL, 10) : 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        lanes[i].conn = PQconnectdb(argv[1]);
        if (PQstatus(lanes[i].conn) != CONNECTION_OK || PQsetnonblocking(lanes[i].conn, 1) != 0 ||
            !PQenterPipelineMode(lanes[i].conn)) {
            fprintf(stderr, "bench_limit: %s", PQerrorMessage(lanes[i].conn));
            return 1;
        }
    }
    double began = seconds(CLOCK_MONOTONIC);
    uint64_t share = rows / CONNECTIONS;
    for (bool more = true; more;) {
        struct pollfd fds[CONNECTIONS];
        more = false;
        for (int i = 0; i < CONNECTIONS; i++) {
            struct lane *lane = &lanes[i];
            if (!lane->busy && sent[i] < share) {
                uint64_t n = share - sent[i] < BATCH ? share - sent[i] : BATCH;
                send_batch(lane, sent[i] * CONNECTIONS + (uint64_t)i, n, shift);
                sent[i] += n;
            }
            int unsent = PQflush(lane->conn);
            drain(lane);
            more = more || lane->busy || sent[i] < share;
            fds[i] = (struct pollfd){PQsocket(lane->conn),
                                     (short)(POLLIN | (unsent == 1 ? POLLOUT : 0)), 0};
        }
        if (lanes[0].busy && lanes[1].busy)
            poll(fds, CONNECTIONS, -1);
        else if (more && (lanes[0].busy || lanes[1].busy))
            poll(fds, CONNECTIONS, 1);
        for (int i = 0; i < CONNECTIONS; i++) {
            if (fds[i].revents & (POLLIN | POLLHUP) && !PQconsumeInput(lanes[i].conn)) {
                fprintf(stderr, "bench_limit: %s", PQerrorMessage(lanes[i].conn));
                return 1;
            }
        }
    }
    double took = seconds(CLOCK_MONOTONIC) - began;
    printf("%llu %.3f %.3f\n", (unsigned long long)(share * CONNECTIONS), took,
           seconds(CLOCK_PROCESS_CPUTIME_ID));
    for (int i = 0; i < CONNECTIONS; i++)
        PQfinish(lanes[i].conn);
    return 0;
}
