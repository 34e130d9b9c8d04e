// SPDX-License-Identifier: Apache-2.0
// The job queue alone: every job is claimed, stored as begun, and stored as done, by one worker
// that holds so many at a time.
//
//   bench_queue [JOBS [CONCURRENCY [OTHERS]]]
//
// Uses $CXSINK_PG_DSN, where it empties cxsink.jobs, or else a private server without fsync.
// OTHERS are jobs that wait beside them: of an action that is not asked for, and as many of the
// same one that are not due. Prints jobs a second, this process's CPU time a job, and how many
// statements a job took.
#include "config/load.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/mem.h"
#include "jobs/queue.h"
#include "net/resolve.h"
#include "support/pg_server.h"

#include <inttypes.h>
#include <sys/resource.h>

struct bench {
    struct loop *loop;
    struct queue *queue;
    unsigned jobs, concurrency, held, done;
    bool asking, ready;
};

static void ask(struct bench *b)
{
    static const bool wanted[] = {true};
    if (!b->asking && b->held < b->concurrency && b->done + b->held < b->jobs) {
        b->asking = true;
        queue_claim(b->queue, b->concurrency - b->held, wanted);
    }
}

static struct bench *the_bench;

static void on_end(void *owner, enum status_code code)
{
    struct job *job = owner;
    if (code != STATUS_OK)
        abort();
    job_free(&job);
    the_bench->held--;
    the_bench->done++;
    ask(the_bench);
}

static void on_begun(void *owner, enum status_code code)
{
    struct job *job = owner;
    if (code != STATUS_OK)
        abort();
    job->state = JOB_SUCCEEDED;
    const struct queue_attempt attempt = {.step = "send", .status = 200, .latency_us = 1000};
    struct queue_save save = {
        .job = job, .attempts = &attempt, .n_attempts = 1, .result = "{\"status\":\"COMPLETED\"}"};
    queue_save(the_bench->queue, &save, on_end, job);
}

static void on_claimed(void *owner, struct job *job)
{
    struct bench *b = owner;
    b->held++;
    snprintf(job->step, sizeof(job->step), "send");
    queue_save(b->queue, &(struct queue_save){.job = job}, on_begun, job);
}

static void on_claim_done(void *owner, unsigned asked, unsigned got)
{
    struct bench *b = owner;
    b->asking = false;
    if (got == asked)
        ask(b);
}

static void on_lost(void *owner, const char *id, bool cancel)
{
    (void)owner;
    fprintf(stderr, "lost %s (%d)\n", id, cancel);
    abort();
}

static void on_wake(void *owner)
{
    struct bench *b = owner;
    b->ready = true;
    if (b->jobs > 0)
        ask(b);
}

static void on_connection(void *owner, const struct status *st, int64_t retry_us)
{
    (void)owner;
    (void)retry_us;
    if (st != NULL)
        fprintf(stderr, "%s\n", st->detail);
}

static void on_told(void *owner, enum log_level level, const char *sentence)
{
    (void)owner;
    (void)level;
    fprintf(stderr, "%s\n", sentence);
}

static double cpu_s(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void fill(const char *dsn, unsigned jobs, unsigned others)
{
    char sql[640];
    snprintf(sql, sizeof(sql),
             "TRUNCATE cxsink.jobs CASCADE;"
             "SELECT count(cxsink.enqueue('bench', '{\"inputs\": {\"n\": 1}}', 'j' || n))"
             " FROM generate_series(1, %u) n;"
             "SELECT count(cxsink.enqueue('other', '{}', 'o' || n, 1)),"
             " count(cxsink.enqueue('bench', '{}', 'l' || n, 1, '2100-01-01'))"
             " FROM generate_series(1, %u) n",
             jobs, others);
    free(pg_server_query_as(dsn, sql));
}

static void run(struct bench *b)
{
    uint64_t statements = queue_statements(b->queue);
    double cpu = cpu_s();
    struct mono start = mono_read();
    ask(b);
    while (b->done < b->jobs)
        loop_turn(b->loop, true);
    double seconds = (double)mono_diff(mono_read(), start) / 1e6;
    printf("%u jobs, %u at a time: %.0f jobs/s, %.1f us CPU and %.3f statements a job\n", b->jobs,
           b->concurrency, b->jobs / seconds, (cpu_s() - cpu) / b->jobs * 1e6,
           (double)(queue_statements(b->queue) - statements) / b->jobs);
}

static void open_queue(struct bench *b, struct resolver *resolver, const struct config *config)
{
    const struct queue_settings settings = {
        .loop = b->loop,
        .resolver = resolver,
        .config = config,
        .worker = true,
        .callbacks = {.claimed = on_claimed,
                      .claim_done = on_claim_done,
                      .lost = on_lost,
                      .wake = on_wake,
                      .connection = on_connection,
                      .told = on_told},
        .owner = b,
    };
    b->queue = queue_create(&settings);
    while (!b->ready)
        loop_turn(b->loop, true);
}

int main(int argc, char **argv)
{
    struct status st;
    struct bench b = {0};
    struct config_action actions[] = {{.name = "bench"}};
    const char *dsn = getenv("CXSINK_PG_DSN");
    struct pg_server *server = dsn == NULL ? pg_server_start() : NULL;
    struct config config = {
        .postgres = {.dsn = mem_strdup(server != NULL ? pg_server_dsn(server) : dsn),
                     .connect_timeout_us = 5 * US_PER_S,
                     .statement_timeout_us = 30 * US_PER_S,
                     .retry_base_us = US_PER_S,
                     .retry_cap_us = US_PER_S},
        .jobs = {.actions = actions, .n_actions = 1},
    };
    b.loop = loop_create(&st);
    struct resolver *resolver = resolver_create(b.loop, &st);
    the_bench = &b;
    open_queue(&b, resolver, &config);
    unsigned jobs = argc > 1 ? (unsigned)atoi(argv[1]) : 10000;
    b.concurrency = argc > 2 ? (unsigned)atoi(argv[2]) : 64;
    fill(config.postgres.dsn, jobs, argc > 3 ? (unsigned)atoi(argv[3]) : 0);
    b.jobs = jobs;
    run(&b);
    queue_destroy(&b.queue);
    loop_turn(b.loop, false);
    resolver_destroy(&resolver);
    loop_destroy(&b.loop);
    pg_server_stop(&server);
    free(config.postgres.dsn);
    return 0;
}
