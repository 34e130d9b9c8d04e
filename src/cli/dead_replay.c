// SPDX-License-Identifier: Apache-2.0
// cxsink dead replay: pages of dead letters through the pipeline. The sink marks those that became
// rows as replayed, and updates the reason of those refused again, in the transaction that writes
// the rows.
#include "app/daemon.h"
#include "app/pipeline.h"
#include "cli/common.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/timer.h"
#include "dead_priv.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

// Dead letters fetched at a time, and the payload of all but the last of them: this bounds memory.
#define PAGE 2000
#define PAGE_BYTES (8 << 20)
// Kinds of refusals that are told one by one.
#define KINDS_MAX 20

struct letter {
    int64_t id;
    size_t stream; // index into config.streams, or CONFIG_NONE
    enum decode_frame frame;
    int64_t received_us;
    char *payload; // owned
    size_t length;
};

// Refused again: of a stream, for a reason.
struct kind {
    char *stream, *reason; // owned
    uint64_t count;
    int64_t example_id;
};

struct replay {
    const struct config *config;
    const struct dead_filter *filter;
    struct schema_set *schemas;
    struct database *db;
    struct sink *sink;
    struct pipeline *pipeline;
    struct timer patience;
    struct letter *letters;
    size_t n_letters, next;
    size_t fetched; // rows of the last page, those left alone too
    int64_t last_id;
    bool again;     // those that were replayed before, too
    long long left; // at most so many more are looked at
    long long all, looked_at;
    uint64_t refused, skipped, before;
    struct kind kinds[KINDS_MAX];
    size_t n_kinds;
    int failure; // exit code: no database any more, or it refuses to be written; 0: none
};

static size_t stream_of(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->n_streams; i++) {
        if (strcmp(config->streams[i].name, name) == 0)
            return i;
    }
    return CONFIG_NONE;
}

// The columns of a letter. The payload comes as hex: two digits a byte.
static const char page_sql[] =
    "select id, stream, reason, encode(payload, 'hex'), replayed_at is not null,"
    " (extract(epoch from received_at) * 1000000)::bigint from (select *,"
    "  sum(size) over (order by id) - size as bytes_before from (select *,"
    "   coalesce(octet_length(payload), 0) as size from cxsink.dead_letters%s"
    "   and id > $7::bigint order by id limit $8::bigint) page) sized"
    " where bytes_before < $9::bigint order by id";

static void take_letter(void *owner, const struct pg_result *r, int row)
{
    struct replay *p = owner;
    const char *reason = pg_result_text(r, row, 2);
    int64_t id = atoll(pg_result_text(r, row, 0));
    size_t stream = stream_of(p->config, pg_result_text(r, row, 1));
    p->last_id = id;
    p->fetched++;
    if (!p->again && pg_result_text(r, row, 4)[0] == 't') {
        p->before++;
        return;
    }
    // Of a frame over the cap only the beginning was kept; a stream that is gone has no mapping.
    if (strcmp(reason, "frame.too_large") == 0 || stream == CONFIG_NONE ||
        pg_result_is_null(r, row, 3)) {
        p->skipped++;
        return;
    }
    struct letter *l = &p->letters[p->n_letters++];
    bool binary = strcmp(reason, "frame.binary") == 0;
    *l = (struct letter){.id = id,
                         .stream = stream,
                         .frame = binary ? DECODE_BINARY : DECODE_TEXT,
                         .received_us = atoll(pg_result_text(r, row, 5))};
    l->payload = dead_payload(r, row, 3, &l->length);
}

static void drop_letters(struct replay *p)
{
    for (size_t i = 0; i < p->n_letters; i++)
        free(p->letters[i].payload);
    p->n_letters = p->next = p->fetched = 0;
}

static bool fetch_page(struct replay *p)
{
    char after[24], limit[24], bytes[24];
    struct dead_params params;
    char *sql = mem_printf(page_sql, dead_where());
    snprintf(after, sizeof(after), "%lld", (long long)p->last_id);
    snprintf(limit, sizeof(limit), "%lld", p->left < PAGE ? p->left : PAGE);
    snprintf(bytes, sizeof(bytes), "%d", PAGE_BYTES);
    dead_params_init(&params, p->filter);
    params.list[DEAD_PARAMS] = database_text(after);
    params.list[DEAD_PARAMS + 1] = database_text(limit);
    params.list[DEAD_PARAMS + 2] = database_text(bytes);
    drop_letters(p);
    bool ok =
        database_query(p->db, "dead replay", sql, params.list, DEAD_PARAMS + 3, take_letter, p);
    p->left -= (long long)p->fetched;
    dead_params_deinit(&params);
    free(sql);
    return ok;
}

// --- through the pipeline ---

static void pump(struct replay *p)
{
    if (!pipeline_ready(p->pipeline) || pipeline_retry(p->pipeline) == SINK_BUSY)
        return;
    while (p->next < p->n_letters) {
        const struct letter *l = &p->letters[p->next];
        struct sink_origin origin = {.seq = (uint64_t)l->id,
                                     .received_us = l->received_us,
                                     .stream = p->config->streams[l->stream].name,
                                     .dead_id = l->id};
        p->next++;
        if (pipeline_push(p->pipeline, l->stream, l->frame, l->payload, l->length, &origin) ==
            SINK_BUSY)
            return;
    }
    sink_flush(p->sink);
}

static void on_room(void *owner)
{
    (void)owner; // send_page() turns the loop and pumps
}

static void on_acked(void *owner, uint64_t seq)
{
    (void)owner;
    (void)seq;
}

static void on_restarted(void *owner)
{
    struct replay *p = owner;
    pipeline_forget(p->pipeline);
    p->next = 0;
}

static bool on_payload(void *owner, uint64_t seq, struct buf *payload)
{
    struct replay *p = owner;
    for (size_t i = 0; i < p->n_letters; i++) {
        if ((uint64_t)p->letters[i].id == seq)
            return buf_append(payload, p->letters[i].payload, p->letters[i].length);
    }
    return false;
}

static struct kind *kind_of(struct replay *p, const char *stream, const char *reason)
{
    for (size_t i = 0; i < p->n_kinds; i++) {
        if (strcmp(p->kinds[i].stream, stream) == 0 && strcmp(p->kinds[i].reason, reason) == 0)
            return &p->kinds[i];
    }
    if (p->n_kinds == KINDS_MAX)
        return NULL;
    p->kinds[p->n_kinds] =
        (struct kind){.stream = mem_strdup(stream), .reason = mem_strdup(reason)};
    return &p->kinds[p->n_kinds++];
}

static void on_dead(void *owner, const char *stream, const char *reason, uint64_t count,
                    int64_t example_id)
{
    struct replay *p = owner;
    struct kind *kind = kind_of(p, stream, reason);
    p->refused += count;
    if (kind == NULL)
        return;
    if (kind->count == 0)
        kind->example_id = example_id;
    kind->count += count;
}

static void on_state(void *owner, enum sink_state from, enum sink_state to, const struct status *st)
{
    struct replay *p = owner;
    (void)from;
    if (to == SINK_READY)
        timer_stop(&p->patience);
    else if (!timer_running(&p->patience))
        timer_start(&p->patience, DATABASE_PATIENCE_US);
    if (to == SINK_BLOCKED) {
        fprintf(stderr, "cxsink dead: %s\n", st != NULL ? st->detail : "the database refuses");
        p->failure = EXIT_CONFIG;
    }
}

static void on_patience_over(void *owner)
{
    struct replay *p = owner;
    const struct status *trouble = sink_trouble(p->sink);
    fprintf(stderr, "cxsink dead: %s\n", trouble != NULL ? trouble->detail : "no database");
    p->failure = EXIT_NO_SERVER;
}

static void send_page(struct replay *p)
{
    pump(p);
    while (p->failure == 0 && (p->next < p->n_letters || !pipeline_ready(p->pipeline) ||
                               pipeline_retry(p->pipeline) == SINK_BUSY || !sink_idle(p->sink))) {
        loop_turn(p->db->loop, true);
        pump(p);
    }
}

static void show_progress(const struct replay *p)
{
    char more[48];
    snprintf(more, sizeof(more), ", %llu refused again", (unsigned long long)p->refused);
    dead_progress("replayed", p->looked_at, p->all, more);
}

static void replay_all(struct replay *p)
{
    bool ok;
    while ((ok = fetch_page(p)) && p->fetched > 0) {
        show_progress(p);
        send_page(p);
        if (p->failure != 0)
            break;
        p->looked_at += (long long)p->fetched;
    }
    show_progress(p);
    dead_progress_end();
    if (!ok)
        p->failure = database_exit_code(p->db);
}

// --- what came of it ---

struct outcome {
    unsigned long long rows, refused, skipped, before, missing;
};

static void print_json(const struct replay *p, const struct outcome *o)
{
    struct buf out = {0};
    buf_printf(&out,
               "{\"replayed\":%llu,\"refused\":%llu,\"left_alone\":%llu,"
               "\"replayed_before\":%llu,\"missing\":%llu,\"refusals\":[",
               o->rows, o->refused, o->skipped, o->before, o->missing);
    for (size_t i = 0; i < p->n_kinds; i++) {
        const struct kind *kind = &p->kinds[i];
        buf_printf(&out, "%s{\"stream\":", i > 0 ? "," : "");
        buf_json_string(&out, kind->stream, strlen(kind->stream));
        buf_append_text(&out, ",\"reason\":");
        buf_json_string(&out, kind->reason, strlen(kind->reason));
        buf_printf(&out, ",\"count\":%llu,\"example\":%lld}", (unsigned long long)kind->count,
                   (long long)kind->example_id);
    }
    printf("%s]}\n", buf_text(&out));
    buf_deinit(&out);
}

static void print_text(const struct replay *p, const struct outcome *o)
{
    for (size_t i = 0; i < p->n_kinds; i++)
        fprintf(stderr, "cxsink dead: %s: %llu refused again (%s), such as %lld\n",
                p->kinds[i].stream, (unsigned long long)p->kinds[i].count, p->kinds[i].reason,
                (long long)p->kinds[i].example_id);
    if (o->missing > 0)
        fprintf(stderr, "cxsink dead: %llu of these ids are not there\n", o->missing);
    printf("%llu replayed, %llu refused again", o->rows, o->refused);
    if (o->skipped > 0)
        printf(", %llu left alone (cut at 64 KiB, without payload, or of a stream that is gone)",
               o->skipped);
    if (o->before > 0)
        printf(", %llu replayed before", o->before);
    printf("\n");
}

static struct outcome outcome_of(const struct replay *p)
{
    struct sink_stats stats;
    sink_stat(p->sink, &stats);
    struct outcome o = {.rows = stats.inserted + stats.updated + stats.unchanged,
                        .refused = p->refused,
                        .skipped = p->skipped,
                        .before = p->before};
    if (p->looked_at < p->filter->n_ids && p->left > 0 && p->failure == 0)
        o.missing = (unsigned long long)(p->filter->n_ids - p->looked_at);
    return o;
}

static int report(const struct replay *p, struct audit *audit, bool json)
{
    struct outcome o = outcome_of(p);
    const struct dead_figure figures[] = {{"replayed", (long long)o.rows},
                                          {"refused", (long long)o.refused}};
    dead_audit_end(audit, "dead.replayed", figures);
    if (json)
        print_json(p, &o);
    else
        print_text(p, &o);
    if (p->failure != 0)
        return p->failure;
    return o.refused > 0 || o.skipped > 0 || o.missing > 0 ? EXIT_NO : EXIT_DONE;
}

// --- life ---

static struct schema_set *load_schemas(const struct config *config)
{
    struct config_faults faults = {0};
    struct schema_set *schemas = schema_set_load(config, &faults);
    config_faults_locate(config->path, &faults);
    cli_print_faults(config->path, &faults, false);
    config_faults_free(&faults);
    return schemas;
}

static void start(struct replay *p)
{
    p->letters = mem_zalloc(PAGE * sizeof(*p->letters));
    timer_init(&p->patience, p->db->loop, "patience", on_patience_over, p);
    timer_start(&p->patience, DATABASE_PATIENCE_US);
    p->pipeline = pipeline_create();
    p->sink = sink_create(&(struct sink_settings){.loop = p->db->loop,
                                                  .resolver = p->db->resolver,
                                                  .config = p->config,
                                                  .source = uuid_random(),
                                                  .callbacks = {.acked = on_acked,
                                                                .room = on_room,
                                                                .restarted = on_restarted,
                                                                .payload = on_payload,
                                                                .dead = on_dead,
                                                                .state = on_state},
                                                  .owner = p});
    pipeline_use(p->pipeline, p->config, p->schemas, p->sink);
    sink_start(p->sink);
}

static void stop(struct replay *p)
{
    timer_stop(&p->patience);
    pipeline_destroy(&p->pipeline);
    sink_destroy(&p->sink);
    drop_letters(p);
    free(p->letters);
    for (size_t i = 0; i < p->n_kinds; i++) {
        free(p->kinds[i].stream);
        free(p->kinds[i].reason);
    }
    schema_set_free(&p->schemas);
}

int dead_replay(struct database *db, const struct dead_request *request)
{
    struct dead_count count;
    long long limit = request->filter.limit;
    struct replay p = {.config = db->config,
                       .filter = &request->filter,
                       .db = db,
                       .again = request->replayed,
                       .left = limit > 0 ? limit : LLONG_MAX};
    if ((p.schemas = load_schemas(db->config)) == NULL)
        return EXIT_CONFIG;
    if (!dead_count(db, &request->filter, &count)) {
        schema_set_free(&p.schemas);
        return database_exit_code(db);
    }
    struct audit *audit = cli_audit_open(db->config, "dead");
    dead_audit_begin(audit, "dead.replay", p.filter, &count);
    p.all = count.all;
    start(&p);
    replay_all(&p);
    int code = report(&p, audit, request->json);
    stop(&p);
    audit_close(&audit);
    return code;
}
