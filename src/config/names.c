// SPDX-License-Identifier: Apache-2.0
// Values that are names: columns and their JSON Pointers, and references to columns, tables and
// credentials.
#include "config/names_priv.h"

#include "config/suggest.h"
#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

// PostgreSQL cuts longer names silently, and so mixes up two that differ in the rest.
const char *name_fault(size_t length)
{
    if (length == 0)
        return "empty; PostgreSQL knows no empty names";
    return length > POSTGRES_NAME_MAX ? "longer than the 63 bytes that PostgreSQL keeps" : NULL;
}

// --- columns -------------------------------------------------------------------------------------

static bool valid_pointer(const char *pointer)
{
    if (*pointer != '\0' && *pointer != '/')
        return false;
    for (const char *p = strchr(pointer, '~'); p != NULL; p = strchr(p + 1, '~')) {
        if (p[1] != '0' && p[1] != '1')
            return false;
    }
    return true;
}

static char *read_pointer(struct reader *r, const struct doc_node *node)
{
    char quote[READER_QUOTE_SIZE];
    if (node->type != DOC_STRING) {
        reader_expected(r, node, "a JSON Pointer as a string, for example \"/interactionId\"");
        return NULL;
    }
    char *pointer = reader_string(r, node);
    if (pointer == NULL || valid_pointer(pointer))
        return pointer;
    reader_fault(r, node,
                 "%s is not a JSON Pointer (RFC 6901): it begins with \"/\", and \"~\" is followed "
                 "by 0 or 1; for example \"/attributes/duration\"",
                 reader_quote(node, quote));
    free(pointer);
    return NULL;
}

static bool check_name(struct reader *r, const struct doc_node *node, const char *name)
{
    const char *what = name_fault(strlen(name));
    if (what != NULL)
        reader_fault(r, node, "the name of this column is %s", what);
    return what == NULL;
}

static void read_one_column(struct reader *r, struct config_table *table,
                            const struct doc_node *node)
{
    check_name(r, node, node->name);
    char *pointer = read_pointer(r, node);
    // One with a fault is kept all the same: key and update may refer to it without another fault.
    table->columns[table->n_columns++] = (struct config_column){mem_strdup(node->name), pointer};
}

void read_columns(struct reader *r, const struct slot *slot)
{
    struct config_table *table = slot->base;
    const struct doc_node *node = slot->node;
    table->columns = mem_zalloc((node->count + 1) * sizeof(*table->columns));
    if (node->count == 0)
        reader_fault(r, node, "no column is mapped; add one, for example %s",
                     slot->setting->example);
    if (node->count > COLUMNS_MAX) {
        reader_fault(r, node, "more than %d columns are mapped", COLUMNS_MAX);
        return;
    }
    for (const struct doc_node *m = node->first; m != NULL; m = m->next) {
        size_t mark = pointer_push(&r->pointer, m->name);
        if (!m->duplicate)
            read_one_column(r, table, m);
        r->pointer.len = mark;
    }
}

void release_columns(void *base, void *field)
{
    (void)field;
    struct config_table *table = base;
    for (size_t i = 0; i < table->n_columns; i++) {
        free(table->columns[i].name);
        free(table->columns[i].pointer);
    }
    free(table->columns);
}

void read_column(struct reader *r, const struct slot *slot)
{
    char *name = reader_string(r, slot->node);
    if (name != NULL && !check_name(r, slot->node, name))
        mem_wipe_free(&name);
    *(char **)slot_field(slot) = name;
}

// --- references to columns -----------------------------------------------------------------------

size_t table_column(const struct config_table *table, const char *name)
{
    size_t i = 0;
    while (i < table->n_columns && strcmp(table->columns[i].name, name) != 0)
        i++;
    return i < table->n_columns ? i : CONFIG_NONE;
}

// CONFIG_NONE after a fault.
static size_t read_mapped(struct reader *r, const struct config_table *table,
                          const struct doc_node *node)
{
    if (node->type != DOC_STRING) {
        reader_expected(r, node, "a column's name");
        return CONFIG_NONE;
    }
    char *name = reader_string(r, node);
    if (name == NULL)
        return CONFIG_NONE;
    size_t column = table_column(table, name);
    if (column == CONFIG_NONE) {
        struct suggest suggest;
        suggest_init(&suggest, name);
        for (size_t i = 0; i < table->n_columns; i++)
            suggest_consider(&suggest, table->columns[i].name);
        reader_fault(r, node, "column \"%.80s\" is not under \"columns\"; %s", name,
                     suggest_sentence(&suggest));
        suggest_deinit(&suggest);
    }
    free(name);
    return column;
}

static bool contains(const size_t *items, size_t count, size_t item)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i] == item)
            return true;
    }
    return false;
}

// An array of mapped columns, each once; returns how many are right.
static size_t read_list(struct reader *r, const struct config_table *table,
                        const struct doc_node *node, size_t **items_r)
{
    size_t *items = mem_zalloc((node->count + 1) * sizeof(*items));
    size_t count = 0;
    size_t index = 0;
    for (const struct doc_node *n = node->first; n != NULL; n = n->next, index++) {
        size_t mark = pointer_push_index(&r->pointer, index);
        size_t column = read_mapped(r, table, n);
        if (contains(items, count, column))
            reader_fault(r, n, "this column is named twice; remove one");
        else if (column != CONFIG_NONE)
            items[count++] = column;
        r->pointer.len = mark;
    }
    *items_r = items;
    return count;
}

// Without columns every reference would be a fault that follows from the one already told.
static bool has_columns(const struct config_table *table)
{
    return table->n_columns > 0;
}

void read_key(struct reader *r, const struct slot *slot)
{
    struct config_table *table = slot->base;
    if (slot->node->count == 0)
        reader_fault(r, slot->node, "the key has no column; name those of a unique index");
    else if (slot->node->count > KEY_MAX)
        reader_fault(r, slot->node, "the key has more than %d columns", KEY_MAX);
    else if (has_columns(table))
        table->n_key = read_list(r, table, slot->node, &table->key);
}

void read_update(struct reader *r, const struct slot *slot)
{
    struct config_table *table = slot->base;
    if (has_columns(table))
        table->n_update = read_list(r, table, slot->node, &table->update);
}

void read_newest_by(struct reader *r, const struct slot *slot)
{
    struct config_table *table = slot->base;
    if (has_columns(table))
        table->newest_by = read_mapped(r, table, slot->node);
}

// --- references to entries -----------------------------------------------------------------------

// The place of `name` among entries that begin with their `char *name`; CONFIG_NONE after a fault.
static size_t read_entry(struct reader *r, const struct slot *slot, const char *map,
                         const void *entries, size_t count, size_t size)
{
    char *name = reader_string(r, slot->node);
    if (name == NULL)
        return CONFIG_NONE;
    struct suggest suggest;
    suggest_init(&suggest, name);
    size_t found = CONFIG_NONE;
    for (size_t i = 0; i < count; i++) {
        const char *entry = *(char *const *)(const void *)((const char *)entries + i * size);
        suggest_consider(&suggest, entry);
        if (strcmp(entry, name) == 0)
            found = i;
    }
    if (found == CONFIG_NONE)
        reader_fault(r, slot->node, "there is no \"%.80s\" under \"%s\"; %s", name, map,
                     count == 0 ? "add it" : suggest_sentence(&suggest));
    suggest_deinit(&suggest);
    free(name);
    return found;
}

void read_auth_name(struct reader *r, const struct slot *slot)
{
    const struct config *c = r->config;
    *(size_t *)slot_field(slot) = read_entry(r, slot, "auth", c->auth, c->n_auth, sizeof(*c->auth));
}

void read_api_name(struct reader *r, const struct slot *slot)
{
    const struct config_jobs *jobs = &r->config->jobs;
    *(size_t *)slot_field(slot) =
        read_entry(r, slot, "jobs.apis", jobs->apis, jobs->n_apis, sizeof(*jobs->apis));
}

void read_table_name(struct reader *r, const struct slot *slot)
{
    const struct config *c = r->config;
    *(size_t *)slot_field(slot) =
        read_entry(r, slot, "tables", c->tables, c->n_tables, sizeof(*c->tables));
}
