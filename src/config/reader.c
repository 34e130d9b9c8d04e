// SPDX-License-Identifier: Apache-2.0
#include "config/reader_priv.h"

#include "config/secret.h"
#include "config/suggest.h"
#include "core/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- faults --------------------------------------------------------------------------------------

static void fault(struct reader *r, unsigned line, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static void fault(struct reader *r, unsigned line, const char *format, va_list args)
{
    char message[STATUS_DETAIL_MAX + 64]; // cut, and marked as cut, by config_faults_add
    vsnprintf(message, sizeof(message), format, args);
    config_faults_add(r->faults, line, buf_text(&r->pointer), "%s", message);
}

void reader_fault(struct reader *r, const struct doc_node *node, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fault(r, node->line, format, args);
    va_end(args);
}

void reader_fault_at(struct reader *r, const struct doc_node *node, const char *name,
                     const char *format, ...)
{
    const struct doc_node *member = doc_member(node, name);
    size_t mark = pointer_push(&r->pointer, name);
    va_list args;
    va_start(args, format);
    fault(r, member != NULL ? member->line : node->line, format, args);
    va_end(args);
    r->pointer.len = mark;
}

void reader_expected(struct reader *r, const struct doc_node *node, const char *expected)
{
    reader_fault(r, node, "expected %s, not %s", expected, doc_type_name(node->type));
}

const char *reader_quote(const struct doc_node *node, char *text)
{
    if (node->type != DOC_STRING || strstr(node->text, "${") != NULL)
        return "this";
    snprintf(text, READER_QUOTE_SIZE, "\"%.40s%s\"", node->text, node->length > 40 ? "..." : "");
    return text;
}

// --- helpers for values --------------------------------------------------------------------------

char *reader_string(struct reader *r, const struct doc_node *node)
{
    struct status st;
    char *text = secret_expand(node->text, &st);
    if (text == NULL)
        reader_fault(r, node, "%s", st.detail);
    return text;
}

char *reader_absolute(const struct reader *r, char *path)
{
    if (path[0] == '/')
        return path;
    char *absolute = mem_printf("%s/%s", r->config->dir, path);
    free(path);
    return absolute;
}

bool reader_given(const struct doc_node *node, const char *name)
{
    const struct doc_node *member = doc_member(node, name);
    return member != NULL && member->type != DOC_NULL;
}

// --- what is put off -----------------------------------------------------------------------------

void reader_defer(struct reader *r, enum reader_phase phase, reader_fn fn, const struct slot *slot)
{
    struct deferred *d = mem_zalloc(sizeof(*d));
    *d = (struct deferred){.fn = fn, .slot = *slot, .pointer = mem_strdup(buf_text(&r->pointer))};
    *r->last[phase] = d;
    r->last[phase] = &d->next;
}

static void run_deferred(struct reader *r, enum reader_phase phase)
{
    while (r->later[phase] != NULL) {
        struct deferred *d = r->later[phase];
        r->later[phase] = d->next;
        buf_clear(&r->pointer);
        buf_append_text(&r->pointer, d->pointer);
        d->fn(r, &d->slot);
        free(d->pointer);
        free(d);
    }
}

// --- the walk ------------------------------------------------------------------------------------

static void read_setting(struct reader *r, const struct slot *slot)
{
    const struct setting_kind *kind = &setting_kinds[slot->setting->type];
    if (slot->node->type == DOC_NULL && slot->setting->nullable)
        return; // the field is empty already
    if (kind->read == NULL)
        return;
    bool fits = slot->node->type == kind->type ||
                (slot->setting->type == SETTING_SECRET && slot->node->type == DOC_OBJECT);
    if (!fits)
        reader_expected(r, slot->node, kind->expected);
    else if (kind->by_name)
        reader_defer(r, READER_NAMES, kind->read, slot);
    else
        kind->read(r, slot);
}

static void unknown_member(struct reader *r, const struct setting *parent,
                           const struct doc_node *member)
{
    struct suggest suggest;
    suggest_init(&suggest, member->name);
    for (const struct setting *s = setting_next_child(parent, NULL); s != NULL;
         s = setting_next_child(parent, s))
        suggest_consider(&suggest, setting_name(s));
    config_faults_add(r->faults, member->name_line, buf_text(&r->pointer),
                      "unknown key \"%.80s\"; %s", member->name, suggest_sentence(&suggest));
    suggest_deinit(&suggest);
}

static void missing_member(struct reader *r, const struct slot *slot)
{
    const struct setting *s = slot->setting;
    if (s->example != NULL)
        reader_fault(r, slot->node, "\"%s\" is missing; add it, for example \"%s\": %s",
                     setting_name(s), setting_name(s), s->example);
    else
        reader_fault(r, slot->node, "\"%s\" is missing; add it. %s", setting_name(s), s->help);
}

// A row that has no member: its default, if any. `slot->node` is the object that lacks it.
static void read_absent(struct reader *r, const struct slot *slot)
{
    const struct setting *s = slot->setting;
    if (s->required)
        missing_member(r, slot);
    if (s->fallback != NULL) {
        struct document doc;
        document_literal(&doc, s->fallback);
        doc.root->line = slot->node->line;
        read_setting(r, &(struct slot){s, doc.root, slot->base});
        document_deinit(&doc);
    } else if (s->type == SETTING_OBJECT) {
        struct doc_node empty = {.type = DOC_OBJECT, .line = slot->node->line};
        read_object(r, &(struct slot){s, &empty, slot->base});
    }
}

static void read_members(struct reader *r, const struct setting *parent, const struct slot *slot)
{
    for (const struct doc_node *m = slot->node->first; m != NULL; m = m->next) {
        if (m->duplicate)
            continue;
        const struct setting *s = setting_find_child(parent, m->name);
        size_t mark = pointer_push(&r->pointer, m->name);
        if (s == NULL)
            unknown_member(r, parent, m);
        else
            read_setting(r, &(struct slot){s, m, slot->base});
        r->pointer.len = mark;
    }
}

void read_object(struct reader *r, const struct slot *slot)
{
    const struct setting *parent = slot->setting;
    read_members(r, parent, slot);
    for (const struct setting *s = setting_next_child(parent, NULL); s != NULL;
         s = setting_next_child(parent, s)) {
        if (doc_member(slot->node, setting_name(s)) != NULL)
            continue;
        size_t mark = pointer_push(&r->pointer, setting_name(s));
        read_absent(r, &(struct slot){s, slot->node, slot->base});
        r->pointer.len = mark;
    }
}

static void finish_item(struct reader *r, const struct slot *slot)
{
    slot->setting->map->finish(r, slot->node, slot->base);
}

static void read_item(struct reader *r, const struct slot *map, const struct doc_node *node,
                      void *item)
{
    *(char **)item = mem_strdup(node->name);
    if (map->setting->map->init != NULL)
        map->setting->map->init(item);
    if (node->type != DOC_OBJECT) {
        reader_expected(r, node, "an object");
        return;
    }
    read_object(r, &(struct slot){setting_next_child(map->setting, NULL), node, item});
    reader_defer(r, READER_CHECKS, finish_item, &(struct slot){map->setting, node, item});
}

static size_t *map_count(const struct setting *s, void *base)
{
    return (size_t *)(void *)((char *)base + s->map->count_offset);
}

void read_map(struct reader *r, const struct slot *slot)
{
    const struct setting_map *map = slot->setting->map;
    char *items = mem_zalloc((slot->node->count + 1) * map->item_size);
    size_t *count = map_count(slot->setting, slot->base);
    *(void **)slot_field(slot) = items;
    for (const struct doc_node *m = slot->node->first; m != NULL; m = m->next) {
        if (m->duplicate)
            continue;
        size_t mark = pointer_push(&r->pointer, m->name);
        read_item(r, slot, m, items + map->item_size * (*count)++);
        r->pointer.len = mark;
    }
}

void reader_read(struct config *config, const struct doc_node *root, struct config_faults *faults)
{
    struct reader r = {.config = config, .faults = faults};
    for (int phase = 0; phase < READER_PHASES; phase++)
        r.last[phase] = &r.later[phase];
    struct slot top = {NULL, root, config};
    if (root->type == DOC_OBJECT) {
        read_object(&r, &top);
        reader_defer(&r, READER_CHECKS, finish_root, &top);
        run_deferred(&r, READER_NAMES);
        run_deferred(&r, READER_CHECKS);
    } else {
        reader_expected(&r, root, "an object at the top of the file");
    }
    buf_deinit(&r.pointer);
}

// --- the end -------------------------------------------------------------------------------------

static void release_items(const struct setting *s, void *base)
{
    char *items = *(char **)(void *)((char *)base + s->offset);
    for (size_t i = 0; i < *map_count(s, base); i++) {
        void *item = items + i * s->map->item_size;
        reader_release(setting_next_child(s, NULL), item);
        if (s->map->deinit != NULL)
            s->map->deinit(item);
        free(*(char **)item);
    }
    free(items);
}

void reader_release(const struct setting *parent, void *base)
{
    for (const struct setting *s = setting_next_child(parent, NULL); s != NULL;
         s = setting_next_child(parent, s)) {
        const struct setting_kind *kind = &setting_kinds[s->type];
        if (s->type == SETTING_OBJECT)
            reader_release(s, base);
        else if (s->type == SETTING_MAP)
            release_items(s, base);
        else if (kind->release != NULL)
            kind->release(base, (char *)base + s->offset);
    }
}
