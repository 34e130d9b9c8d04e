// SPDX-License-Identifier: Apache-2.0
// The part of `cxsink jobs submit` that puts checked jobs on the queue.
#include "app/daemon.h"
#include "cli/common.h"
#include "core/mem.h"
#include "core/timer.h"
#include "jobs/queue.h"
#include "jobs_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- which are there already ---------------------------------------------------------------------

// Of each job: the state of the one that has its id already ("schedule" for a schedule); NULL:
// none. Owned.
static void mark(void *owner, const struct pg_result *r, int row)
{
    char **known = owner;
    known[strtoul(pg_result_text(r, row, 0), NULL, 10)] = mem_strdup(pg_result_text(r, row, 1));
}

// Looked at before, so that an attempt whose answer was lost, and which is repeated, does not find
// its own jobs.
static bool find_known(struct database *db, const struct submissions *jobs, char **known)
{
    static const char sql[] =
        "select n - 1, state from rows from (json_array_elements_text($1::json),"
        " json_array_elements_text($2::json)) with ordinality i(id, recurs, n), lateral"
        " (select j.state from cxsink.jobs j where j.id = i.id and not i.recurs::boolean"
        " union all select 'schedule' from cxsink.job_schedules s"
        " where s.id = i.id and i.recurs::boolean) k";
    char **ids = mem_alloc((jobs->count + 1) * sizeof(*ids));
    struct buf names = {0}, recurs = {0};
    buf_append_text(&recurs, "[");
    for (size_t i = 0; i < jobs->count; i++) {
        ids[i] = jobs->items[i].id;
        buf_append_text(&recurs, i == 0 ? "" : ",");
        buf_append_text(&recurs, jobs_is_schedule(&jobs->items[i]) ? "true" : "false");
    }
    buf_append_text(&recurs, "]");
    struct pg_param params[] = {jobs_names(ids, jobs->count, &names),
                                database_text(buf_text(&recurs))};
    bool ok = database_query(db, "jobs submit", sql, params, 2, mark, known);
    free(ids);
    buf_deinit(&names);
    buf_deinit(&recurs);
    return ok;
}

// --- queueing ------------------------------------------------------------------------------------

struct queueing {
    struct loop *loop;
    const struct config *config;
    struct status st;      // of the answer
    struct status trouble; // of the connection
    bool answered, late;
};

static void on_connection(void *owner, const struct status *st, int64_t retry_us)
{
    struct queueing *q = owner;
    (void)retry_us;
    if (st != NULL)
        q->trouble = *st;
}

static void on_told(void *owner, enum log_level level, const char *sentence)
{
    (void)owner, (void)level, (void)sentence;
}

static void on_queued(void *owner, const char *source, struct buf *list)
{
    struct queueing *q = owner;
    struct audit *audit = cli_audit_open(q->config, "jobs");
    for (size_t at = 0; at < list->len;) {
        const char *id = list->data + at;
        const char *action = id + strlen(id) + 1;
        const struct audit_field fields[] = {{"job", id}, {"action", action}, {"source", source}};
        audit_write(audit, "job.queued", NULL, fields, 3);
        at = (size_t)(action - list->data) + strlen(action) + 1;
    }
    audit_close(&audit);
}

static void on_enqueued(void *owner, const struct status *st, size_t n_new)
{
    struct queueing *q = owner;
    (void)n_new;
    q->st = *st;
    q->answered = true;
}

static void on_late(void *owner)
{
    struct queueing *q = owner;
    q->late = true;
}

static int enqueue(struct database *db, const struct submissions *jobs, int64_t patience_us)
{
    struct queueing q = {.loop = db->loop, .config = db->config};
    struct timer patience;
    struct queue *queue = queue_create(&(struct queue_settings){
        .loop = db->loop,
        .resolver = db->resolver,
        .config = db->config,
        .callbacks = {.connection = on_connection, .queued = on_queued, .told = on_told},
        .owner = &q,
    });
    timer_init(&patience, db->loop, "patience", on_late, &q);
    timer_start(&patience, patience_us);
    queue_enqueue(queue, db->config, jobs, "submit", on_enqueued, &q);
    while (!q.answered && !q.late)
        loop_turn(db->loop, true);
    timer_stop(&patience);
    queue_destroy(&queue);
    if (q.answered && q.st.code == STATUS_OK)
        return EXIT_DONE;
    if (q.answered) {
        fprintf(stderr, "cxsink jobs submit: %s; nothing is queued\n", q.st.detail);
        return EXIT_NO;
    }
    fprintf(stderr,
            "cxsink jobs submit: PostgreSQL: %s; whether the jobs are queued is not known, `cxsink "
            "jobs show %s` tells\n",
            q.trouble.detail[0] != '\0' ? q.trouble.detail : "no answer", jobs->items[0].id);
    return EXIT_NO_SERVER;
}

// --- telling -------------------------------------------------------------------------------------

static void print_id(const struct submission *job, const char *known, bool json)
{
    bool recurs = jobs_is_schedule(job);
    struct buf line = {0};
    if (json) {
        buf_append_text(&line, "{\"id\":");
        buf_json_string(&line, job->id, strlen(job->id));
        buf_printf(&line, ",\"queued\":%s,\"schedule\":%s}", known != NULL ? "false" : "true",
                   recurs ? "true" : "false");
    } else {
        buf_append_text(&line, job->id);
    }
    printf("%s\n", buf_text(&line));
    if (known != NULL && !json && recurs)
        fprintf(stderr, "cxsink jobs: %s is a schedule already, and is left alone\n", job->id);
    else if (known != NULL && !json)
        fprintf(stderr, "cxsink jobs: %s is queued already (%s), and is left alone\n", job->id,
                known);
    buf_deinit(&line);
}

int jobs_queue(const struct config *config, const struct submissions *jobs,
               const struct jobs_request *request)
{
    struct database db;
    char **known = mem_zalloc((jobs->count + 1) * sizeof(*known));
    bool bounded = request->timeout_us > 0 && request->timeout_us < DATABASE_PATIENCE_US;
    int code;
    if (!database_open(&db, "jobs submit", config) || !find_known(&db, jobs, known))
        code = database_exit_code(&db);
    else
        code = enqueue(&db, jobs, bounded ? request->timeout_us : DATABASE_PATIENCE_US);
    for (size_t i = 0; i < jobs->count && code == EXIT_DONE; i++)
        print_id(&jobs->items[i], known[i], request->json);
    fflush(stdout);
    if (code == EXIT_DONE && request->wait)
        code = jobs_wait(&db, jobs, request);
    database_close(&db);
    for (size_t i = 0; i < jobs->count; i++)
        free(known[i]);
    free(known);
    return code;
}
