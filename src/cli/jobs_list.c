// SPDX-License-Identifier: Apache-2.0
// cxsink jobs list: jobs, figures, schedules.
#include "app/daemon.h"
#include "core/mem.h"
#include "jobs_priv.h"

#include <stdio.h>
#include <stdlib.h>

#define LIST_LIMIT 50
#define UTC(column) "to_char(" column " at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

// How a list is printed: column 0 is its JSON, the others are cells.
struct listing {
    bool json;
    const char *const *heads;
    const int *widths; // 0 ends
};

static void print_head(const struct listing *listing)
{
    int i = 0;
    for (; !listing->json && listing->widths[i] != 0; i++)
        printf("%-*s ", listing->widths[i], listing->heads[i]);
    if (!listing->json)
        printf("%s\n", listing->heads[i]);
}

static void print_row(void *owner, const struct pg_result *r, int row)
{
    const struct listing *listing = owner;
    int i = 0;
    if (listing->json) {
        printf("%s\n", pg_result_text(r, row, 0));
        return;
    }
    for (; listing->widths[i] != 0; i++)
        jobs_print_cell(r, row, i + 1, listing->widths[i]);
    jobs_print_cell(r, row, i + 1, 0);
}

static int print(struct database *db, const char *sql, const struct pg_param *params, int n_params,
                 struct listing *listing)
{
    print_head(listing);
    return database_query(db, "jobs list", sql, params, n_params, print_row, listing)
               ? EXIT_DONE
               : database_exit_code(db);
}

// --- jobs ----------------------------------------------------------------------------------------

static int list_jobs(struct database *db, const struct jobs_request *request)
{
    static const char *const heads[] = {"id",    "action",  "state", "queued (UTC)",
                                        "tries", "took ms", "what"};
    static const int widths[] = {36, 20, 9, 20, 5, 9, 0};
    static const char sql[] = "select row_to_json(r)::text, id, action, state, " UTC(
        "created_at") ", attempt,"
                      " coalesce(round(latency_ms)::text, ''),"
                      // Of an unfinished one the newest trouble, else when it goes on.
                      " left(case when finished_at is not null then coalesce(error ->> 'message', "
                      "'')"
                      " when cancel_requested then 'is being cancelled'"
                      " when failures > 0 then coalesce(last_error, '') || coalesce('; again at ' "
                      "|| again, '')"
                      " when state = 'queued' and again is not null then 'at ' || again"
                      " else step end, 160)"
                      " from (select id, action, kind, state, step, attempt, failures, priority, "
                      "source,"
                      " schedule_id, cancel_requested, created_at, run_at, started_at, "
                      "finished_at, leased_until,"
                      " leased_by, idempotency_key, trace_id, remote_id, result, error,"
                      " extract(epoch from finished_at - started_at) * 1000 as latency_ms,"
                      " attempts -> -1 ->> 'error' as last_error,"
                      " case when leased_by is null and run_at > now() then " UTC(
                          "run_at") " end as again"
                                    " from cxsink.jobs%s order by created_at desc, id desc limit "
                                    "$5::bigint) r";
    struct listing listing = {request->json, heads, widths};
    struct pg_param params[5];
    char limit[24];
    char *text = mem_printf(sql, jobs_filter_where());
    jobs_filter_params(&request->filter, params);
    snprintf(limit, sizeof(limit), "%lld", request->limit > 0 ? request->limit : LIST_LIMIT);
    params[4] = database_text(limit);
    int code = print(db, text, params, 5, &listing);
    free(text);
    return code;
}

// --- figures -------------------------------------------------------------------------------------

// A run is a job that succeeded or failed; its latency is the time from its first lease to its end,
// waits between tries included.
static int list_stats(struct database *db, const struct jobs_request *request)
{
    static const char *const heads[] = {"action",    "runs",       "succeeded", "failed",
                                        "cancelled", "unfinished", "rate %",    "avg ms",
                                        "p50 ms",    "p95 ms",     "p99 ms"};
    static const int widths[] = {24, 8, 9, 8, 9, 10, 6, 9, 9, 9, 0};
    static const char sql[] =
        "select row_to_json(s)::text, coalesce(action, '(all)'), runs, succeeded, failed,"
        " cancelled, unfinished, coalesce(success_rate::text, ''), coalesce(avg_ms::text, ''),"
        " coalesce(p50_ms::text, ''), coalesce(p95_ms::text, ''), coalesce(p99_ms::text, '')"
        " from (select action, count(ran) as runs, count(*) filter (where state = 'succeeded')"
        " as succeeded, count(*) filter (where state = 'failed') as failed,"
        " count(*) filter (where state = 'cancelled') as cancelled,"
        " count(*) filter (where finished_at is null) as unfinished,"
        " round(100.0 * count(*) filter (where state = 'succeeded') / nullif(count(ran), 0), 2)"
        " as success_rate, round(avg(ms), 1) as avg_ms,"
        " round(percentile_cont(0.5) within group (order by ms)::numeric, 1) as p50_ms,"
        " round(percentile_cont(0.95) within group (order by ms)::numeric, 1) as p95_ms,"
        " round(percentile_cont(0.99) within group (order by ms)::numeric, 1) as p99_ms"
        " from (select action, state, finished_at,"
        " case when state in ('succeeded', 'failed') then true end as ran,"
        " case when state in ('succeeded', 'failed')"
        " then extract(epoch from finished_at - started_at) * 1000 end as ms"
        " from cxsink.jobs%s) j"
        " group by grouping sets ((action), ()) order by grouping(action), action) s";
    struct listing listing = {request->json, heads, widths};
    struct pg_param params[4];
    char *text = mem_printf(sql, jobs_filter_where());
    jobs_filter_params(&request->filter, params);
    int code = print(db, text, params, 4, &listing);
    free(text);
    return code;
}

// --- schedules -----------------------------------------------------------------------------------

static int list_schedules(struct database *db, const struct jobs_request *request)
{
    static const char *const heads[] = {"id", "action", "source", "next (UTC)", "comes"};
    static const int widths[] = {36, 20, 8, 20, 0};
    static const char sql[] =
        "select row_to_json(s)::text, id, action, source,"
        " case when isfinite(next_at) then " UTC(
            "next_at") " else 'never' end,"
                       " case when cron is null then 'every ' || every else 'cron ' || cron || ' ' "
                       "|| time_zone end"
                       " from (select id, action, source, origin, priority, every, cron, "
                       "time_zone, next_at,"
                       " created_at from cxsink.job_schedules) s order by next_at, id";
    struct listing listing = {request->json, heads, widths};
    return print(db, sql, NULL, 0, &listing);
}

int jobs_list(struct database *db, const struct jobs_request *request)
{
    if (request->stats)
        return list_stats(db, request);
    return request->schedules ? list_schedules(db, request) : list_jobs(db, request);
}
