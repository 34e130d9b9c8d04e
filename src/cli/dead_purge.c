// SPDX-License-Identifier: Apache-2.0
// cxsink dead purge: deletes dead letters, a batch a transaction, none that came after they were
// counted.
#include "app/daemon.h"
#include "cli/common.h"
#include "core/mem.h"
#include "dead_priv.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Deleted in one transaction.
#define BATCH 2000

// $7: after this id. $8: up to this one. $9: at most so many.
static const char delete_sql[] =
    "with page as materialized (select id from cxsink.dead_letters%s and id > $7::bigint"
    " and id <= $8::bigint order by id limit $9::bigint),"
    " gone as (delete from cxsink.dead_letters d using page where d.id = page.id"
    " returning d.replayed_at)"
    " select (select count(*) from page), coalesce((select max(id) from page), 0),"
    " (select count(*) from gone), (select count(*) from gone where replayed_at is null)";

struct purge {
    struct database *db;
    const struct dead_filter *filter;
    struct dead_count counted;
    long long left; // at most so many more
    long long last_id, chosen;
    long long deleted, waiting; // waiting: of the deleted, never replayed
};

static void take_batch(void *owner, const struct pg_result *r, int row)
{
    struct purge *p = owner;
    p->chosen = atoll(pg_result_text(r, row, 0));
    p->last_id = atoll(pg_result_text(r, row, 1));
    p->deleted += atoll(pg_result_text(r, row, 2));
    p->waiting += atoll(pg_result_text(r, row, 3));
}

static bool delete_batch(struct purge *p)
{
    char after[24], last[24], limit[24];
    struct dead_params params;
    char *sql = mem_printf(delete_sql, dead_where());
    snprintf(after, sizeof(after), "%lld", p->last_id);
    snprintf(last, sizeof(last), "%lld", p->counted.last_id);
    snprintf(limit, sizeof(limit), "%lld", p->left < BATCH ? p->left : BATCH);
    dead_params_init(&params, p->filter);
    params.list[DEAD_PARAMS] = database_text(after);
    params.list[DEAD_PARAMS + 1] = database_text(last);
    params.list[DEAD_PARAMS + 2] = database_text(limit);
    p->chosen = 0;
    bool ok = database_query(p->db, "dead purge", sql, params.list, DEAD_PARAMS + 3, take_batch, p);
    p->left -= p->chosen;
    dead_params_deinit(&params);
    free(sql);
    return ok;
}

// Asks on the terminal. True for "y" or "yes".
static bool agreed(const struct dead_count *count)
{
    char answer[16];
    fprintf(stderr, "Delete %lld dead letter%s for ever, %lld of them never replayed? [y/N] ",
            count->all, count->all == 1 ? "" : "s", count->waiting);
    if (fgets(answer, sizeof(answer), stdin) == NULL)
        return false;
    return strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0;
}

static void report(const struct dead_request *request, long long all, long long waiting)
{
    const char *verb = request->dry_run ? "would be deleted" : "deleted";
    if (request->json)
        printf("{\"%s\":%lld,\"never_replayed\":%lld}\n",
               request->dry_run ? "would_delete" : "deleted", all, waiting);
    else
        printf("%lld %s, %lld of them never replayed\n", all, verb, waiting);
}

static int purge(struct purge *p, const struct dead_request *request)
{
    bool ok = true;
    struct audit *audit = cli_audit_open(p->db->config, "dead");
    dead_audit_begin(audit, "dead.purge", p->filter, &p->counted);
    do {
        dead_progress("deleted", p->deleted, p->counted.all, "");
        ok = delete_batch(p);
    } while (ok && p->chosen > 0);
    dead_progress_end();
    const struct dead_figure figures[] = {{"deleted", p->deleted}, {"never_replayed", p->waiting}};
    dead_audit_end(audit, "dead.purged", figures);
    audit_close(&audit);
    report(request, p->deleted, p->waiting);
    return ok ? EXIT_DONE : database_exit_code(p->db);
}

int dead_purge(struct database *db, const struct dead_request *request)
{
    long long limit = request->filter.limit;
    struct purge p = {.db = db, .filter = &request->filter, .left = limit > 0 ? limit : LLONG_MAX};
    bool terminal = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
    if (!request->yes && !request->dry_run && !terminal)
        return cli_usage_error("dead", "purge deletes for ever: say --yes (or --dry-run first)");
    if (!dead_count(db, &request->filter, &p.counted))
        return database_exit_code(db);
    if (request->dry_run) {
        report(request, p.counted.all, p.counted.waiting);
        return EXIT_DONE;
    }
    if (p.counted.all > 0 && !request->yes && !agreed(&p.counted)) {
        fputs("cxsink dead: nothing was deleted\n", stderr);
        return EXIT_NO;
    }
    return purge(&p, request);
}
