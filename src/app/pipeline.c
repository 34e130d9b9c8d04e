// SPDX-License-Identifier: Apache-2.0
#include "app/pipeline.h"

#include "core/mem.h"
#include "schema/library.h"

#include <stdlib.h>

#define SCHEMA_FAULTS_MAX 32
#define HELD_KEEP_BYTES (1u << 20)

struct schema_set {
    struct schema **items; // by stream; NULL: no validation
    size_t count;
};

// --- schemas ---

static void add_schema_faults(const struct config_stream *stream, const char *pointer,
                              const struct schema_faults *found, struct config_faults *faults)
{
    for (size_t i = 0; i < found->count && i < found->max; i++) {
        const struct schema_fault *f = &found->list[i];
        config_faults_add(faults, 0, pointer, "%s:%u:%u: %s: %s",
                          f->file[0] ? f->file : stream->schema, f->line, f->column,
                          f->pointer[0] ? f->pointer : "(root)", f->message);
    }
}

static struct schema_options options_of(const struct config_stream *stream)
{
    static const enum schema_draft drafts[] = {
        [DRAFT_2020_12] = SCHEMA_DRAFT_2020_12,
        [DRAFT_2019_09] = SCHEMA_DRAFT_2019_09,
        [DRAFT_7] = SCHEMA_DRAFT_7,
        [DRAFT_6] = SCHEMA_DRAFT_6,
        [DRAFT_4] = SCHEMA_DRAFT_4,
    };
    static const enum schema_strict stricts[] = {
        [STRICT_TYPOS] = SCHEMA_STRICT_TYPOS,
        [STRICT_ALL] = SCHEMA_STRICT_ALL,
        [STRICT_OFF] = SCHEMA_STRICT_OFF,
    };
    return (struct schema_options){
        .draft = drafts[stream->schema_draft],
        .strict = stricts[stream->schema_strict],
        .annotate_formats = stream->formats == FORMATS_ANNOTATE,
    };
}

static struct schema *load_schema(struct schema_library *library,
                                  const struct config_stream *stream, struct config_faults *faults)
{
    struct status st = {0};
    struct schema *schema = NULL;
    char *pointer = mem_printf("/streams/%s/schema", stream->name);
    struct schema_options options = options_of(stream);
    struct schema_faults found = {.max = SCHEMA_FAULTS_MAX};
    found.list = mem_zalloc(found.max * sizeof(*found.list));
    if (schema_library_compile(library, stream->schema, &options, &found, &schema, &st) !=
            STATUS_OK &&
        found.count == 0)
        config_faults_add(faults, 0, pointer, "%s", st.detail);
    add_schema_faults(stream, pointer, &found, faults);
    free(found.list);
    free(pointer);
    return schema;
}

// The schemas that others may refer to.
static struct schema_library *make_library(const struct config *config,
                                           struct config_faults *faults)
{
    struct schema_library *library = schema_library_create();
    for (size_t i = 0; i < config->schemas.count; i++) {
        const struct config_pair *pair = &config->schemas.items[i];
        struct status st = {0};
        if (schema_library_add(library, pair->name, pair->value, &st) != STATUS_OK)
            config_faults_add(faults, 0, "/schemas", "%s", st.detail);
    }
    return library;
}

struct schema_set *schema_set_load(const struct config *config, struct config_faults *faults)
{
    struct schema_set *set = mem_zalloc(sizeof(*set));
    size_t before = faults->count;
    struct schema_library *library = make_library(config, faults);
    set->count = config->n_streams;
    set->items = mem_zalloc(set->count * sizeof(struct schema *));
    for (size_t i = 0; i < set->count; i++) {
        if (config->streams[i].schema != NULL)
            set->items[i] = load_schema(library, &config->streams[i], faults);
    }
    schema_library_destroy(&library);
    if (faults->count != before)
        schema_set_free(&set);
    return set;
}

void schema_set_free(struct schema_set **pointer)
{
    struct schema_set *set = *pointer;
    if (set == NULL)
        return;
    *pointer = NULL;
    for (size_t i = 0; i < set->count; i++)
        schema_destroy(&set->items[i]);
    free(set->items);
    free(set);
}

// --- pushing ---

enum held { HELD_NOTHING, HELD_ROW, HELD_DEAD };

struct pipeline {
    const struct config *config;
    const struct schema_set *schemas;
    struct sink *sink;
    struct decoder *decoder;
    struct decode_result result;
    struct buf cells;
    // What met a full lane; a row's cells are in `cells`, a dead letter's parts in `result` and
    // `held_payload`.
    enum held held;
    size_t held_table;
    struct sink_origin held_origin;
    struct buf held_payload;
};

struct pipeline *pipeline_create(void)
{
    struct pipeline *p = mem_zalloc(sizeof(*p));
    p->decoder = decoder_create(&(struct decode_limits){0});
    return p;
}

void pipeline_destroy(struct pipeline **pointer)
{
    struct pipeline *p = *pointer;
    if (p == NULL)
        return;
    *pointer = NULL;
    decoder_destroy(&p->decoder);
    buf_deinit(&p->cells);
    buf_deinit(&p->result.detail);
    buf_deinit(&p->held_payload);
    free(p);
}

void pipeline_use(struct pipeline *p, const struct config *config, const struct schema_set *schemas,
                  struct sink *sink)
{
    p->config = config;
    p->schemas = schemas;
    p->sink = sink;
    pipeline_forget(p);
}

void pipeline_forget(struct pipeline *p)
{
    p->held = HELD_NOTHING;
    buf_clear(&p->held_payload);
    buf_shrink(&p->held_payload, HELD_KEEP_BYTES);
}

bool pipeline_ready(const struct pipeline *p)
{
    if (p->config->n_streams == 0)
        return sink_state(p->sink) == SINK_READY; // what the spool still holds has no stream
    return sink_mapping(p->sink, p->config->streams[0].table) != NULL;
}

static enum sink_push push_dead(struct pipeline *p, const struct sink_origin *origin,
                                const char *payload, size_t length)
{
    const struct decode_result *r = &p->result;
    enum sink_push pushed =
        sink_push_dead(p->sink, origin, r->reason, r->detail.data, r->detail.len, payload, length);
    if (pushed == SINK_BUSY && p->held == HELD_NOTHING) {
        p->held = HELD_DEAD;
        p->held_origin = *origin;
        buf_append(&p->held_payload, payload, length);
    }
    return pushed;
}

static enum sink_push push_row(struct pipeline *p, size_t table, const struct sink_origin *origin)
{
    enum sink_push pushed = sink_push_row(p->sink, table, origin, p->result.key_hash, &p->cells);
    if (pushed == SINK_BUSY && p->held == HELD_NOTHING) {
        p->held = HELD_ROW;
        p->held_table = table;
        p->held_origin = *origin;
    }
    return pushed;
}

static void decode_unknown(struct decode_result *result)
{
    result->is_row = false;
    memcpy(result->reason, "stream.unknown", sizeof("stream.unknown"));
    buf_clear(&result->detail);
    buf_append_text(&result->detail,
                    "[{\"message\":\"the configuration has no stream of this name any more\"}]");
}

enum sink_push pipeline_push(struct pipeline *p, size_t stream, enum decode_frame frame,
                             const char *payload, size_t length, const struct sink_origin *origin)
{
    buf_clear(&p->cells);
    if (stream == CONFIG_NONE) {
        decode_unknown(&p->result);
        return push_dead(p, origin, payload, length);
    }
    size_t table = p->config->streams[stream].table;
    decode_event(p->decoder, p->schemas->items[stream], sink_mapping(p->sink, table), frame,
                 payload, length, &p->cells, &p->result);
    return p->result.is_row ? push_row(p, table, origin) : push_dead(p, origin, payload, length);
}

enum sink_push pipeline_retry(struct pipeline *p)
{
    enum sink_push pushed = SINK_TAKEN;
    if (p->held == HELD_ROW)
        pushed = push_row(p, p->held_table, &p->held_origin);
    else if (p->held == HELD_DEAD)
        pushed = push_dead(p, &p->held_origin, p->held_payload.data, p->held_payload.len);
    if (pushed == SINK_TAKEN)
        pipeline_forget(p);
    return pushed;
}
