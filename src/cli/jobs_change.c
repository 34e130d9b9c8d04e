// SPDX-License-Identifier: Apache-2.0
// cxsink jobs cancel and retry: by ids, or by filters.
#include "app/daemon.h"
#include "cli/common.h"
#include "core/mem.h"
#include "jobs_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What became of one. What is done is audited: who asked, and for what; the daemon audits what
// comes of it.
static const struct outcome {
    const char *name, *sentence; // NULL: it is in this state
    bool done;
} outcomes[] = {
    {"cancelled", "cancelled", true},
    {"requested", "has begun; its daemon ends it", true},
    {"stopped", "schedule stopped; it queues no more jobs", true},
    {"configured", "is a schedule of the configuration; remove it from jobs.queue there", false},
    {"queued again", "queued again", true},
    {"refused", NULL, false},
    {"missing", "there is no such job", false},
};

struct change {
    const struct config *config;
    const struct jobs_request *request;
    struct audit *audit; // opened for the first that is done
    size_t n, refused, done;
};

static const struct outcome *find(const char *name)
{
    size_t i = 0;
    while (strcmp(outcomes[i].name, name) != 0)
        i++;
    return &outcomes[i];
}

static void print_sentence(const struct outcome *outcome, const char *id, const char *state)
{
    struct buf line = {0};
    cli_append_plain(&line, id, strlen(id), false);
    buf_printf(&line, ": %s%s", outcome->sentence != NULL ? outcome->sentence : "is ",
               outcome->sentence != NULL ? "" : state);
    fprintf(outcome->done ? stdout : stderr, "%s\n", buf_text(&line));
    buf_deinit(&line);
}

static void write_audit(struct change *change, const char *id, const char *outcome)
{
    const struct audit_field fields[] = {{"job", id}, {"outcome", outcome}};
    bool retries = strcmp(change->request->verb, "retry") == 0;
    if (change->done++ == 0)
        change->audit = cli_audit_open(change->config, "jobs");
    audit_write(change->audit, retries ? "job.requeue" : "job.cancel", NULL, fields, 2);
}

static bool is_known(const struct config *config, const char *action)
{
    for (size_t i = 0; i < config->jobs.n_actions; i++) {
        if (strcmp(config->jobs.actions[i].name, action) == 0)
            return true;
    }
    return false;
}

// It is queued, and waits for a configuration that has its action.
static void warn_of_unknown(const struct config *config, const char *id, const char *action)
{
    struct buf line = {0};
    if (is_known(config, action))
        return;
    cli_append_plain(&line, id, strlen(id), false);
    buf_append_text(&line, ": this configuration has no action \"");
    cli_append_plain(&line, action, strlen(action), false);
    fprintf(stderr, "cxsink jobs: %s\"; the job waits for a daemon whose configuration has it\n",
            buf_text(&line));
    buf_deinit(&line);
}

static void print_change(void *owner, const struct pg_result *r, int row)
{
    struct change *change = owner;
    const char *id = pg_result_text(r, row, 0);
    const struct outcome *outcome = find(pg_result_text(r, row, 1));
    change->n++;
    change->refused += !outcome->done;
    if (change->request->json)
        printf("%s\n", pg_result_text(r, row, 3));
    else
        print_sentence(outcome, id, pg_result_text(r, row, 2));
    if (!outcome->done)
        return;
    if (strcmp(change->request->verb, "retry") == 0)
        warn_of_unknown(change->config, id, pg_result_text(r, row, 4));
    write_audit(change, id, outcome->name);
}

// Each row: id, outcome, the state before, JSON, action.
#define SELECT_JSON                                                                           \
    "select id, outcome, coalesce(state, ''), json_build_object('id', id, 'outcome',"         \
    " outcome, 'state', state)::text, (select j.action from cxsink.jobs j where j.id = r.id)" \
    " from ("

static int change(struct database *db, const char *sql, const struct pg_param *params, int n_params,
                  const struct jobs_request *request)
{
    struct change change = {.config = db->config, .request = request};
    char *command = mem_printf("jobs %s", request->verb);
    bool ok = database_query(db, command, sql, params, n_params, print_change, &change);
    free(command);
    audit_close(&change.audit);
    if (!ok)
        return database_exit_code(db);
    if (change.n == 0)
        fprintf(stderr, "cxsink jobs: there is none to %s\n", request->verb);
    return change.refused > 0 ? EXIT_NO : EXIT_DONE;
}

static int by_names(struct database *db, const char *sql, const struct jobs_request *request)
{
    struct buf names = {0};
    struct pg_param param = jobs_names(request->names, (size_t)request->n_names, &names);
    int code = change(db, sql, &param, 1, request);
    buf_deinit(&names);
    return code;
}

// `sql` with the filter's condition in it; the newest, up to the limit.
static int by_filter(struct database *db, const char *sql, const struct jobs_filter *filter,
                     const struct jobs_request *request)
{
    struct pg_param params[5];
    char limit[24];
    snprintf(limit, sizeof(limit), "%lld", request->limit);
    jobs_filter_params(filter, params);
    params[4] = database_text(request->limit > 0 ? limit : NULL);
    return change(db, sql, params, 5, request);
}

int jobs_cancel(struct database *db, const struct jobs_request *request)
{
    // A schedule goes where no unfinished job has its id.
    static const char names[] =
        "with i as (select * from json_array_elements_text($1::json) with ordinality i(id, n)),"
        " s as (delete from cxsink.job_schedules s using i where s.id = i.id"
        " and s.source <> 'config' and not exists (select from cxsink.jobs j where j.id = i.id"
        " and j.finished_at is null) returning s.id),"
        " c as materialized (select n, id, cxsink.cancel_job(id) as did from i) " SELECT_JSON
        "select c.n, c.id, case when did in ('cancelled', 'requested') then did"
        " when exists (select from s where s.id = c.id) then 'stopped'"
        " when exists (select from cxsink.job_schedules t where t.id = c.id"
        " and t.source = 'config') then 'configured'"
        " when did is null then 'missing' else 'refused' end as outcome, did as state"
        " from c) r order by n";
    if (request->n_names > 0)
        return by_names(db, names, request);
    char *sql = mem_printf(
        "with c as materialized (select id, cxsink.cancel_job(id) as did from"
        " (select id from cxsink.jobs%s and finished_at is null order by created_at desc, id desc"
        " limit $5::bigint) j) " SELECT_JSON
        "select id, case when did in ('cancelled', 'requested') then did else 'refused' end"
        " as outcome, did as state from c) r",
        jobs_filter_where());
    int code = by_filter(db, sql, &request->filter, request);
    free(sql);
    return code;
}

int jobs_retry(struct database *db, const struct jobs_request *request)
{
    static const char names[] =
        "with c as materialized (select i.n, i.id, cxsink.retry_job(i.id) as done, j.state"
        " from json_array_elements_text($1::json) with ordinality i(id, n)"
        " left join cxsink.jobs j on j.id = i.id) " SELECT_JSON
        "select n, id, case when done then 'queued again' when state is null then 'missing'"
        " else 'refused' end as outcome, state from c) r order by n";
    struct jobs_filter filter = request->filter;
    if (request->n_names > 0)
        return by_names(db, names, request);
    if (filter.state == NULL)
        filter.state = "failed";
    char *sql = mem_printf(
        "with c as materialized (select id, state, cxsink.retry_job(id) as done from"
        " (select id, state from cxsink.jobs%s order by created_at desc, id desc"
        " limit $5::bigint) j) " SELECT_JSON
        "select id, case when done then 'queued again' else 'refused' end as outcome, state"
        " from c) r",
        jobs_filter_where());
    int code = by_filter(db, sql, &filter, request);
    free(sql);
    return code;
}
