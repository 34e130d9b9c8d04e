// SPDX-License-Identifier: Apache-2.0
// Readers of the types of settings that only jobs have.
#include "config/reader_priv.h"

#include "core/clock.h"
#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

void read_boolean(struct reader *r, const struct slot *slot)
{
    (void)r;
    *(bool *)slot_field(slot) = strcmp(slot->node->text, "true") == 0;
}

// --- lists of strings ----------------------------------------------------------------------------

static char *read_item(struct reader *r, const struct doc_node *node)
{
    if (node->type != DOC_STRING) {
        reader_expected(r, node, "a string");
        return NULL;
    }
    char *text = reader_string(r, node);
    if (text != NULL && *text == '\0') {
        reader_fault(r, node, "this string is empty; remove it");
        mem_wipe_free(&text);
    }
    return text;
}

void read_strings(struct reader *r, const struct slot *slot)
{
    struct config_strings *strings = slot_field(slot);
    size_t index = 0;
    strings->items = mem_zalloc((slot->node->count + 1) * sizeof(*strings->items));
    for (const struct doc_node *n = slot->node->first; n != NULL; n = n->next, index++) {
        size_t mark = pointer_push_index(&r->pointer, index);
        char *text = read_item(r, n);
        if (text != NULL)
            strings->items[strings->count++] = text;
        r->pointer.len = mark;
    }
}

void release_strings(void *base, void *field)
{
    (void)base;
    struct config_strings *strings = field;
    for (size_t i = 0; i < strings->count; i++)
        mem_wipe_free(&strings->items[i]);
    free(strings->items);
}

// --- rates ---------------------------------------------------------------------------------------

#define RATE_MAX 1000000

static bool parse_rate(const char *text, unsigned *limit_r, int64_t *period_us_r)
{
    static const struct {
        const char *unit;
        int64_t period_us;
    } units[] = {{"s", US_PER_S}, {"min", 60 * US_PER_S}, {"h", 3600 * US_PER_S}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 7 || text[digits] != '/')
        return false;
    unsigned long limit = strtoul(text, NULL, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(text + digits + 1, units[i].unit) == 0) {
            *limit_r = (unsigned)limit;
            *period_us_r = units[i].period_us;
            return limit >= 1 && limit <= RATE_MAX;
        }
    }
    return false;
}

void read_rate(struct reader *r, const struct slot *slot)
{
    struct config_api *api = slot->base;
    char quote[READER_QUOTE_SIZE];
    char *text = reader_string(r, slot->node);
    if (text != NULL && !parse_rate(text, &api->rate_limit, &api->rate_period_us))
        reader_fault(r, slot->node,
                     "%s is not a rate; write 1 to %d requests and a period, for example "
                     "\"20/s\", \"1000/min\" or \"5000/h\"",
                     reader_quote(slot->node, quote), RATE_MAX);
    free(text);
}

// --- the queue -----------------------------------------------------------------------------------

static void write_value(struct reader *r, const struct doc_node *node, struct buf *out);

static void write_string(struct reader *r, const struct doc_node *node, struct buf *out)
{
    char *text = reader_string(r, node);
    if (text != NULL)
        buf_json_string(out, text, strlen(text));
    mem_wipe_free(&text);
}

static void write_children(struct reader *r, const struct doc_node *node, struct buf *out)
{
    bool object = node->type == DOC_OBJECT;
    size_t index = 0;
    buf_append_text(out, object ? "{" : "[");
    for (const struct doc_node *n = node->first; n != NULL; n = n->next, index++) {
        size_t mark =
            object ? pointer_push(&r->pointer, n->name) : pointer_push_index(&r->pointer, index);
        if (index > 0)
            buf_append_text(out, ",");
        if (object) {
            buf_json_string(out, n->name, strlen(n->name));
            buf_append_text(out, ":");
        }
        write_value(r, n, out);
        r->pointer.len = mark;
    }
    buf_append_text(out, object ? "}" : "]");
}

// The node as JSON text, with the environment's values in its strings.
static void write_value(struct reader *r, const struct doc_node *node, struct buf *out)
{
    if (node->type == DOC_OBJECT || node->type == DOC_ARRAY)
        write_children(r, node, out);
    else if (node->type == DOC_STRING)
        write_string(r, node, out);
    else
        buf_append(out, node->text, node->length);
}

static void read_job(struct reader *r, const struct doc_node *node, struct config_job *job)
{
    struct buf text = {0};
    if (node->type != DOC_OBJECT)
        reader_expected(r, node, "an object");
    else if (doc_member(node, "id") == NULL)
        reader_fault_at(r, node, "id",
                        "is missing, so that every start would queue this job again; add one, for "
                        "example \"id\": \"crm-timeouts-v3\"");
    write_value(r, node, &text);
    job->text = mem_strdup(buf_text(&text));
    job->line = node->line;
    mem_wipe(text.data, text.len);
    buf_deinit(&text);
}

void read_queue(struct reader *r, const struct slot *slot)
{
    struct config_jobs *jobs = &((struct config *)slot->base)->jobs;
    jobs->queue = mem_zalloc((slot->node->count + 1) * sizeof(*jobs->queue));
    for (const struct doc_node *n = slot->node->first; n != NULL; n = n->next) {
        size_t mark = pointer_push_index(&r->pointer, jobs->n_queue);
        read_job(r, n, &jobs->queue[jobs->n_queue++]);
        r->pointer.len = mark;
    }
}

void release_queue(void *base, void *field)
{
    (void)field;
    struct config_jobs *jobs = &((struct config *)base)->jobs;
    for (size_t i = 0; i < jobs->n_queue; i++)
        mem_wipe_free(&jobs->queue[i].text);
    free(jobs->queue);
}
