// SPDX-License-Identifier: Apache-2.0
// Which dead letters are meant: filters and ids as one condition.
#include "config/units.h"
#include "core/clock.h"
#include "core/mem.h"
#include "dead_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const which_names[] = {
    [DEAD_WAITING] = "waiting", [DEAD_ANY] = "any", [DEAD_REPLAYED] = "replayed"};

static const char where[] =
    " where ($1::text is null or stream = $1) and ($2::text is null or reason like $2)"
    " and ($3::timestamptz is null or received_at >= $3)"
    " and ($4::timestamptz is null or received_at < $4)"
    " and ($5::text = 'any' or (replayed_at is not null) = ($5 = 'replayed'))"
    " and ($6::bigint[] is null or id = any($6))";

const char *dead_where(void)
{
    return where;
}

// "30d" is that long ago; everything else is read by PostgreSQL.
static const char *moment(const char *given, char text[32])
{
    int64_t us;
    if (given == NULL || !units_duration_parse(given, &us))
        return given;
    wall_format(wall_read_us() - us, text, 32);
    return text;
}

void dead_params_init(struct dead_params *params, const struct dead_filter *filter)
{
    *params = (struct dead_params){0};
    for (int i = 0; i < filter->n_ids; i++)
        buf_printf(&params->ids, "%s%s", i > 0 ? "," : "{", filter->ids[i]);
    if (filter->n_ids > 0)
        buf_append_text(&params->ids, "}");
    params->list[0] = database_text(filter->stream);
    params->list[1] = database_text(filter->reason);
    params->list[2] = database_text(moment(filter->since, params->since));
    params->list[3] = database_text(moment(filter->until, params->until));
    params->list[4] = database_text(which_names[filter->which]);
    params->list[5] = database_text(filter->n_ids > 0 ? buf_text(&params->ids) : NULL);
}

void dead_params_deinit(struct dead_params *params)
{
    buf_deinit(&params->ids);
}

bool dead_is_id(const char *text)
{
    size_t n = strspn(text, "0123456789");
    return n > 0 && n < 19 && text[n] == '\0';
}

bool dead_is_filtered(const struct dead_filter *f)
{
    return f->stream != NULL || f->reason != NULL || f->since != NULL || f->until != NULL;
}

static void take_count(void *owner, const struct pg_result *r, int row)
{
    struct dead_count *count = owner;
    *count = (struct dead_count){.all = atoll(pg_result_text(r, row, 0)),
                                 .waiting = atoll(pg_result_text(r, row, 1)),
                                 .last_id = atoll(pg_result_text(r, row, 2))};
}

bool dead_count(struct database *db, const struct dead_filter *filter, struct dead_count *count_r)
{
    char limit[24];
    struct dead_params params;
    char *sql = mem_printf("select count(*), count(*) filter (where replayed_at is null),"
                           " coalesce(max(id), 0) from (select id, replayed_at"
                           " from cxsink.dead_letters%s order by id limit $7::bigint) chosen",
                           where);
    *count_r = (struct dead_count){0};
    dead_params_init(&params, filter);
    snprintf(limit, sizeof(limit), "%lld", filter->limit);
    params.list[DEAD_PARAMS] = database_text(filter->limit > 0 ? limit : NULL);
    bool ok = database_query(db, "dead", sql, params.list, DEAD_PARAMS + 1, take_count, count_r);
    dead_params_deinit(&params);
    free(sql);
    return ok;
}

// --- audit ---

// Most bytes of ids that the audit log takes.
#define IDS_TOLD 1000

static void put_ids(struct buf *out, const struct dead_filter *filter)
{
    for (int i = 0; i < filter->n_ids && out->len < IDS_TOLD; i++)
        buf_printf(out, "%s%s", i > 0 ? " " : "", filter->ids[i]);
    if (out->len >= IDS_TOLD)
        buf_append_text(out, " ...");
}

void dead_audit_begin(struct audit *audit, const char *event, const struct dead_filter *filter,
                      const struct dead_count *count)
{
    struct buf ids = {0};
    char all[24], limit[24];
    put_ids(&ids, filter);
    snprintf(all, sizeof(all), "%lld", count->all);
    snprintf(limit, sizeof(limit), "%lld", filter->limit);
    const struct audit_field fields[] = {
        {"count", all},
        {"which", which_names[filter->which]},
        {"reason", filter->reason},
        {"since", filter->since},
        {"until", filter->until},
        {"limit", filter->limit > 0 ? limit : NULL},
        {"ids", filter->n_ids > 0 ? buf_text(&ids) : NULL},
    };
    audit_write(audit, event, filter->stream, fields, sizeof(fields) / sizeof(fields[0]));
    buf_deinit(&ids);
}

void dead_audit_end(struct audit *audit, const char *event, const struct dead_figure figures[2])
{
    char texts[2][24];
    struct audit_field fields[2];
    for (int i = 0; i < 2; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%lld", figures[i].value);
        fields[i] = (struct audit_field){figures[i].name, texts[i]};
    }
    audit_write(audit, event, NULL, fields, 2);
}
