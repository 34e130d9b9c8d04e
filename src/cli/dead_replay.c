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

// Dead letters fetched at a time: with payloads of up to some MiB each this bounds memory.
#define PAGE 200

struct letter {
    int64_t id;
    size_t stream; // index into config.streams, or CONFIG_NONE
    enum decode_frame frame;
    int64_t received_us;
    char *payload; // owned
    size_t length;
};

// The columns of a letter. The payload comes as hex: two digits a byte.
#define COLUMNS                                                            \
    "id, stream, reason, encode(payload, 'hex'), replayed_at is not null," \
    " (extract(epoch from received_at) * 1000000)::bigint"

struct replay {
    const struct config *config;
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
    long long left; // at most so many more are looked at; with filters
    uint64_t refused, skipped, before, missing;
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
    p->letters = mem_realloc_array(p->letters, p->n_letters + 1, sizeof(*p->letters));
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

static bool fetch_page(struct replay *p, const struct dead_filter *filter)
{
    char after[24], limit[24];
    struct pg_param params[7];
    char *sql = mem_printf("select " COLUMNS " from cxsink.dead_letters%s and id > $6::bigint"
                           " order by id limit $7::bigint",
                           dead_filter_where());
    snprintf(after, sizeof(after), "%lld", (long long)p->last_id);
    snprintf(limit, sizeof(limit), "%lld", p->left < PAGE ? p->left : PAGE);
    dead_filter_params(filter, params);
    params[5] = database_text(after);
    params[6] = database_text(limit);
    drop_letters(p);
    bool ok = database_query(p->db, "dead replay", sql, params, 7, take_letter, p);
    p->left -= (long long)p->fetched;
    free(sql);
    return ok;
}

static bool fetch_ids(struct replay *p, char **ids, int n_ids)
{
    static const char sql[] = "select " COLUMNS " from cxsink.dead_letters"
                              " where id = any($1::bigint[]) order by id";
    struct buf list = {0};
    for (int i = 0; i < n_ids; i++)
        buf_printf(&list, "%s%s", i > 0 ? "," : "{", ids[i]);
    buf_append_text(&list, "}");
    struct pg_param param = database_text(buf_text(&list));
    bool ok = database_query(p->db, "dead replay", sql, &param, 1, take_letter, p);
    buf_deinit(&list);
    if (ok && p->fetched < (size_t)n_ids)
        p->missing = (size_t)n_ids - p->fetched;
    if (p->missing > 0)
        fprintf(stderr, "cxsink dead: %llu of these ids are not there\n",
                (unsigned long long)p->missing);
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

static void on_dead(void *owner, const char *stream, const char *reason, uint64_t count,
                    int64_t example_id)
{
    struct replay *p = owner;
    p->refused += count;
    fprintf(stderr, "cxsink dead: %s: %llu refused again (%s), such as %lld\n", stream,
            (unsigned long long)count, reason, (long long)example_id);
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

static void replay_all(struct replay *p, const struct dead_request *request)
{
    bool ok;
    if (request->n_ids > 0) {
        ok = fetch_ids(p, request->ids, request->n_ids);
        if (ok && p->n_letters > 0)
            send_page(p);
    } else {
        while ((ok = fetch_page(p, &request->filter)) && p->fetched > 0 && p->failure == 0)
            send_page(p);
    }
    if (!ok)
        p->failure = database_exit_code(p->db);
}

static int report(const struct replay *p)
{
    struct sink_stats stats;
    sink_stat(p->sink, &stats);
    uint64_t rows = stats.inserted + stats.updated + stats.unchanged;
    printf("%llu replayed, %llu refused again", (unsigned long long)rows,
           (unsigned long long)p->refused);
    if (p->skipped > 0)
        printf(", %llu left alone (cut at 64 KiB, without payload, or of a stream that is gone)",
               (unsigned long long)p->skipped);
    if (p->before > 0)
        printf(", %llu replayed before", (unsigned long long)p->before);
    printf("\n");
    if (p->failure != 0)
        return p->failure;
    return p->refused > 0 || p->skipped > 0 || p->missing > 0 ? EXIT_NO : EXIT_DONE;
}

int dead_replay(struct database *db, const struct config *config,
                const struct dead_request *request)
{
    struct config_faults faults = {0};
    long long limit = request->filter.limit;
    struct replay p = {.config = config,
                       .db = db,
                       .again = request->filter.replayed,
                       .left = limit > 0 ? limit : LLONG_MAX};
    p.schemas = schema_set_load(config, &faults);
    config_faults_locate(config->path, &faults);
    cli_print_faults(config->path, &faults, false);
    config_faults_free(&faults);
    if (p.schemas == NULL)
        return EXIT_CONFIG;
    timer_init(&p.patience, db->loop, "patience", on_patience_over, &p);
    timer_start(&p.patience, DATABASE_PATIENCE_US);
    p.pipeline = pipeline_create();
    p.sink = sink_create(&(struct sink_settings){.loop = db->loop,
                                                 .resolver = db->resolver,
                                                 .config = config,
                                                 .source = uuid_random(),
                                                 .callbacks = {.acked = on_acked,
                                                               .room = on_room,
                                                               .restarted = on_restarted,
                                                               .payload = on_payload,
                                                               .dead = on_dead,
                                                               .state = on_state},
                                                 .owner = &p});
    pipeline_use(p.pipeline, config, p.schemas, p.sink);
    sink_start(p.sink);
    replay_all(&p, request);
    int code = report(&p);
    timer_stop(&p.patience);
    pipeline_destroy(&p.pipeline);
    sink_destroy(&p.sink);
    drop_letters(&p);
    free(p.letters);
    schema_set_free(&p.schemas);
    return code;
}
