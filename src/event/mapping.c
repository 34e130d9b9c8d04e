// SPDX-License-Identifier: Apache-2.0
// Structure: the pointers of all columns form one tree of nodes, so that an event's objects are
// walked once, each member looked up in its node's table of names. What is found are the tokens of
// the columns; the cells are then written in the columns' order.
#include "event/mapping.h"

#include "core/hash.h"
#include "core/mem.h"
#include "event/cell_priv.h"
#include "json/pointer.h"
#include "json/tape.h"
#include "json/text.h"

#include <stdlib.h>

#define NO_COLUMN UINT16_MAX

struct node;

struct edge {
    uint32_t hash; // of the part
    const struct pointer_part *part;
    struct node *child;
};

struct node {
    struct edge *edges; // of different names
    size_t n_edges;
    // Slots hold an edge's index plus one, 0 when empty; by hash, linear probing, at most half
    // full.
    uint16_t *slots;
    uint32_t mask;
    uint16_t column; // first column whose pointer ends here, or NO_COLUMN
};

struct mapping {
    struct cell_column *columns;
    size_t n_columns;
    struct pointer **pointers; // of the columns; the nodes refer to their parts
    uint16_t *same;            // next column with the same pointer, or NO_COLUMN
    unsigned key[MAPPING_KEY_MAX];
    size_t n_key;
    struct node *root;
};

// --- compiling
// -------------------------------------------------------------------------------------

static struct node *node_create(void)
{
    struct node *node = mem_zalloc(sizeof(*node));
    node->column = NO_COLUMN;
    return node;
}

static void node_destroy(struct node *node)
{
    if (node == NULL)
        return;
    for (size_t i = 0; i < node->n_edges; i++)
        node_destroy(node->edges[i].child);
    free(node->edges);
    free(node->slots);
    free(node);
}

static bool same_name(const struct pointer_part *a, const struct pointer_part *b)
{
    return a->hash == b->hash && a->length == b->length && memcmp(a->name, b->name, a->length) == 0;
}

static struct node *node_child(struct node *node, const struct pointer_part *part)
{
    for (size_t i = 0; i < node->n_edges; i++) {
        if (same_name(node->edges[i].part, part))
            return node->edges[i].child;
    }
    node->edges = mem_realloc_array(node->edges, node->n_edges + 1, sizeof(*node->edges));
    struct edge *edge = &node->edges[node->n_edges++];
    edge->hash = part->hash;
    edge->part = part;
    edge->child = node_create();
    return edge->child;
}

static void insert_column(struct mapping *mapping, uint16_t column)
{
    const struct pointer *pointer = mapping->pointers[column];
    struct node *node = mapping->root;
    for (size_t i = 0; i < pointer->n_parts; i++)
        node = node_child(node, &pointer->parts[i]);
    mapping->same[column] = node->column;
    node->column = column;
}

static void index_edges(struct node *node)
{
    uint32_t n_slots = 2;
    while (n_slots < 2 * node->n_edges)
        n_slots *= 2;
    node->slots = mem_zalloc(n_slots * sizeof(*node->slots));
    node->mask = n_slots - 1;
    for (size_t i = 0; i < node->n_edges; i++) {
        uint32_t slot = node->edges[i].hash & node->mask;
        while (node->slots[slot] != 0)
            slot = (slot + 1) & node->mask;
        node->slots[slot] = (uint16_t)(i + 1);
        index_edges(node->edges[i].child);
    }
}

static enum status_code check_sizes(size_t n_columns, const unsigned *key, size_t n_key,
                                    struct status *st)
{
    if (n_columns == 0 || n_columns > MAPPING_COLUMNS_MAX)
        return status_set(st, STATUS_INVALID, "a table maps 1 to %d columns, not %zu",
                          MAPPING_COLUMNS_MAX, n_columns);
    if (n_key == 0 || n_key > MAPPING_KEY_MAX)
        return status_set(st, STATUS_INVALID, "a table's key has 1 to %d columns, not %zu",
                          MAPPING_KEY_MAX, n_key);
    for (size_t i = 0; i < n_key; i++) {
        if (key[i] >= n_columns)
            return status_set(st, STATUS_INVALID, "key column %u is not one of the %zu mapped",
                              key[i], n_columns);
    }
    return STATUS_OK;
}

static enum status_code compile_column(struct mapping *mapping, size_t i,
                                       const struct mapping_column *from, struct status *st)
{
    struct cell_column *column = &mapping->columns[i];
    column->name = mem_strdup(from->name);
    column->not_null = from->not_null;
    cell_column_init(column, from->type, from->typmod);
    enum status_code code =
        pointer_compile(from->pointer, strlen(from->pointer), &mapping->pointers[i], st);
    if (code != STATUS_OK)
        return status_prefix(st, "column \"%s\"", from->name);
    insert_column(mapping, (uint16_t)i);
    return STATUS_OK;
}

enum status_code mapping_compile(const struct mapping_column *columns, size_t n_columns,
                                 const unsigned *key, size_t n_key, struct mapping **mapping_r,
                                 struct status *st)
{
    *mapping_r = NULL;
    enum status_code code = check_sizes(n_columns, key, n_key, st);
    if (code != STATUS_OK)
        return code;
    struct mapping *mapping = mem_zalloc(sizeof(*mapping));
    mapping->columns = mem_zalloc(n_columns * sizeof(*mapping->columns));
    mapping->pointers = mem_zalloc(n_columns * sizeof(struct pointer *));
    mapping->same = mem_zalloc(n_columns * sizeof(*mapping->same));
    mapping->n_columns = n_columns;
    mapping->n_key = n_key;
    memcpy(mapping->key, key, n_key * sizeof(*key));
    mapping->root = node_create();
    for (size_t i = 0; i < n_columns && code == STATUS_OK; i++)
        code = compile_column(mapping, i, &columns[i], st);
    if (code != STATUS_OK) {
        mapping_destroy(&mapping);
        return code;
    }
    index_edges(mapping->root);
    *mapping_r = mapping;
    return STATUS_OK;
}

void mapping_destroy(struct mapping **mapping)
{
    struct mapping *m = *mapping;
    *mapping = NULL;
    if (m == NULL)
        return;
    node_destroy(m->root);
    for (size_t i = 0; i < m->n_columns; i++) {
        cell_column_deinit(&m->columns[i]);
        pointer_destroy(&m->pointers[i]);
    }
    free(m->columns);
    free(m->pointers);
    free(m->same);
    free(m);
}

uint32_t mapping_wire_type(const struct mapping *mapping, size_t i)
{
    return cell_wire_type(&mapping->columns[i]);
}

size_t mapping_columns(const struct mapping *mapping)
{
    return mapping->n_columns;
}

// --- extracting
// ------------------------------------------------------------------------------------

struct walk {
    const struct mapping *mapping;
    const struct tape *tape;
    uint32_t *found; // token of each column
};

static void walk_children(const struct walk *walk, const struct node *node, uint32_t value);

static inline void walk_value(const struct walk *walk, const struct node *node, uint32_t value)
{
    for (uint16_t i = node->column; i != NO_COLUMN; i = walk->mapping->same[i])
        walk->found[i] = value;
    if (node->n_edges != 0)
        walk_children(walk, node, value);
}

// Mostly an event's members come in the same order: `guess`, the edge behind the last one found, is
// tried first.
static const struct edge *find_edge(const struct tape *tape, const struct node *node, uint32_t key,
                                    const struct edge *guess)
{
    const struct tape_token *token = &tape->tokens[key];
    size_t length;
    const char *text = tape_string(tape, key, &length);
    bool plain = (token->flags & TAPE_ESCAPED) == 0;
    if (guess->hash == token->hash && plain && guess->part->length == length &&
        text_same(text, guess->part->name, length))
        return guess;
    for (uint32_t slot = token->hash & node->mask; node->slots[slot] != 0;
         slot = (slot + 1) & node->mask) {
        const struct edge *edge = &node->edges[node->slots[slot] - 1];
        if (edge->hash == token->hash &&
            text_string_equals(tape, key, edge->part->name, edge->part->length))
            return edge;
    }
    return NULL;
}

static void walk_object(const struct walk *walk, const struct node *node, uint32_t object)
{
    const struct tape_token *tokens = walk->tape->tokens;
    const struct edge *guess = node->edges, *last = guess + node->n_edges - 1;
    uint32_t end = tokens[object].next;
    for (uint32_t key = object + 1; key != end; key = tokens[key + 1].next) {
        const struct edge *edge = find_edge(walk->tape, node, key, guess);
        if (edge == NULL)
            continue;
        guess = edge != last ? edge + 1 : node->edges;
        walk_value(walk, edge->child, key + 1);
    }
}

static void walk_array(const struct walk *walk, const struct node *node, uint32_t array)
{
    for (size_t i = 0; i < node->n_edges; i++) {
        const struct edge *edge = &node->edges[i];
        if (!edge->part->is_index)
            continue;
        uint32_t element = tape_element(walk->tape, array, edge->part->index);
        if (element != TAPE_NONE)
            walk_value(walk, edge->child, element);
    }
}

static void walk_children(const struct walk *walk, const struct node *node, uint32_t value)
{
    uint8_t kind = walk->tape->tokens[value].kind;
    if (kind == TAPE_OBJECT)
        walk_object(walk, node, value);
    else if (kind == TAPE_ARRAY)
        walk_array(walk, node, value);
}

// Hash of the key's cells with their lengths, so that ("a", "bc") and ("ab", "c") differ.
static uint64_t hash_key(const struct mapping *mapping, const char *row, const uint32_t *ends)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < mapping->n_key; i++) {
        unsigned column = mapping->key[i];
        uint32_t start = column != 0 ? ends[column - 1] : 0;
        hash = hash_bytes(row + start, ends[column] - start, hash);
    }
    return hash;
}

size_t mapping_extract(const struct mapping *mapping, const struct tape *tape, struct buf *cells,
                       uint64_t *key_hash_r, struct mapping_fault *faults_r, size_t max_faults)
{
    uint32_t found[MAPPING_COLUMNS_MAX];
    uint32_t ends[MAPPING_COLUMNS_MAX];
    for (size_t i = 0; i < mapping->n_columns; i++)
        found[i] = TAPE_NONE;
    struct walk walk = {mapping, tape, found};
    walk_value(&walk, mapping->root, 0);

    size_t start = cells->len;
    size_t n_faults = 0;
    for (size_t i = 0; i < mapping->n_columns; i++) {
        struct mapping_fault spare;
        struct mapping_fault *fault = n_faults < max_faults ? &faults_r[n_faults] : &spare;
        if (!cell_append(&mapping->columns[i], tape, found[i], cells, fault->message)) {
            fault->column = mapping->columns[i].name;
            n_faults++;
        }
        ends[i] = (uint32_t)(cells->len - start);
    }
    if (n_faults != 0)
        cells->len = start;
    else
        *key_hash_r = hash_key(mapping, cells->data + start, ends);
    return n_faults;
}
