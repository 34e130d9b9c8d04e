// SPDX-License-Identifier: Apache-2.0
// cxsink jobs show: one job, or one schedule, whole.
#include "app/daemon.h"
#include "cli/common.h"
#include "jobs_priv.h"

#include <stdio.h>
#include <string.h>

#define NAME_WIDTH 16

struct shown {
    bool json, found;
};

// A name and its value, which goes below it where it has several lines. With JSON the value alone.
static void print_field(void *owner, const struct pg_result *r, int row)
{
    struct shown *shown = owner;
    const char *value = pg_result_text(r, row, 1);
    shown->found = true;
    if (shown->json) {
        printf("%s\n", value);
        return;
    }
    if (strchr(value, '\n') != NULL)
        printf("%s%s", pg_result_text(r, row, 0), value[0] == '\n' ? "" : "\n");
    else
        printf("%-*s ", NAME_WIDTH, pg_result_text(r, row, 0));
    cli_print_plain(value, (size_t)pg_result_length(r, row, 1), true);
    putchar('\n');
}

// What is delivered, or was given up, of its notifications.
#define NOTIFICATIONS                                                              \
    "(select json_agg(json_build_object('attempt', n.attempt, 'run_at', n.run_at," \
    " 'finished_at', n.finished_at, 'error', n.error) order by n.id)"              \
    " from cxsink.job_notifications n where n.job_id = j.id)"

static const char job_json[] =
    "select '', row_to_json(r)::text from (select j.id, j.action, j.kind, j.state, j.step,"
    " j.attempt, j.failures, j.lease_losses, j.priority, j.source, j.schedule_id,"
    " j.cancel_requested, j.created_at, j.first_run_at, j.run_at, j.started_at, j.finished_at,"
    " extract(epoch from j.finished_at - j.started_at) * 1000 as latency_ms, j.leased_until,"
    " j.leased_by, j.idempotency_key, j.trace_id, j.remote_id,"
    " (select json_agg(k.key) from cxsink.job_locks k where k.job_id = j.id) as locks,"
    " " NOTIFICATIONS " as notifications, j.attempts, j.progress, j.result, j.error,"
    " cxsink.job_params(j) as params"
    " from cxsink.jobs j where j.id = $1) r";

// Parameters may be megabytes of somebody's data; a terminal gets them up to 16 KiB.
static const char job_text[] =
    "select f.key, f.value from (select j.id, j.action, j.kind, j.state, nullif(j.step, '')"
    " as step, j.attempt as tries, nullif(j.failures, 0) as failures, nullif(j.lease_losses, 0)"
    " as lease_losses, nullif(j.priority, 0) as priority, j.source, j.schedule_id,"
    " case when j.cancel_requested and j.finished_at is null then 'was asked for' end"
    " as cancelling, j.created_at as queued,"
    " case when j.finished_at is null then j.run_at end as runs_at, j.started_at as started,"
    " j.finished_at as finished,"
    " round(extract(epoch from j.finished_at - j.started_at) * 1000) || ' ms' as took,"
    " j.leased_by || ' until ' || j.leased_until as leased_by, j.idempotency_key, j.trace_id,"
    " j.remote_id,"
    " (select string_agg(k.key, ', ') from cxsink.job_locks k where k.job_id = j.id) as locks,"
    " (select string_agg(case when n.finished_at is null then 'is tried again at ' || n.run_at"
    " when n.error is null then 'delivered at ' || n.finished_at else 'given up: ' || n.error end,"
    " '; ' order by n.id) from cxsink.job_notifications n where n.job_id = j.id) as notification,"
    " (select E'\\n' || string_agg(concat_ws('  ', '  ' || (a ->> 'at'), a ->> 'step',"
    " 'HTTP ' || (a ->> 'status'), (a ->> 'latency_ms') || ' ms', a ->> 'error'), E'\\n' order by "
    "n)"
    " from jsonb_array_elements(j.attempts) with ordinality e(a, n)) as requests,"
    " E'\\n' || jsonb_pretty(j.error) as error, E'\\n' || jsonb_pretty(j.result) as result,"
    " case when octet_length(j.params::text) > 16384 or j.data is not null"
    " then octet_length(cxsink.job_params(j)::text) || ' bytes, which --json prints' else E'\\n' "
    "|| jsonb_pretty(j.params) end as parameters"
    " from cxsink.jobs j where j.id = $1) r, json_each_text(row_to_json(r)) f"
    " where f.value is not null";

static const char schedule_json[] =
    "select '', row_to_json(r)::text from (select id as schedule, action, source, origin, priority,"
    " every, cron, time_zone, next_at, created_at, params from cxsink.job_schedules"
    " where id = $1) r";

static const char schedule_text[] =
    "select f.key, f.value from (select id as schedule, action, source, origin,"
    " nullif(priority, 0) as priority, every, cron, case when cron is not null then time_zone end"
    " as time_zone, next_at as next, created_at as created,"
    " case when octet_length(params::text) > 16384 then octet_length(params::text)"
    " || ' bytes, which --json prints' else E'\\n' || jsonb_pretty(params) end as parameters"
    " from cxsink.job_schedules where id = $1) r, json_each_text(row_to_json(r)) f"
    " where f.value is not null";

int jobs_show(struct database *db, const struct jobs_request *request)
{
    struct shown shown = {.json = request->json};
    const char *name = request->names[0];
    struct pg_param id = database_text(name);
    bool ok = database_query(db, "jobs show", shown.json ? job_json : job_text, &id, 1, print_field,
                             &shown);
    if (ok && !shown.found)
        ok = database_query(db, "jobs show", shown.json ? schedule_json : schedule_text, &id, 1,
                            print_field, &shown);
    if (!ok)
        return database_exit_code(db);
    if (!shown.found)
        fprintf(stderr, "cxsink jobs: there is no job and no schedule \"%s\"\n", name);
    return shown.found ? EXIT_DONE : EXIT_NO;
}
