// SPDX-License-Identifier: Apache-2.0
#include "config/document_priv.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

static void node_free(struct doc_node *node)
{
    while (node != NULL) {
        struct doc_node *next = node->next;
        node_free(node->first); // as deep as DOCUMENT_DEPTH_MAX
        free(node);
        node = next;
    }
}

void document_deinit(struct document *doc)
{
    node_free(doc->root);
    if (doc->text != NULL)
        mem_wipe(doc->text, doc->size);
    free(doc->text);
    *doc = (struct document){0};
}

void document_literal(struct document *doc, const char *json)
{
    struct config_faults faults = {0};
    if (!document_parse(doc, mem_strdup(json), strlen(json), &faults))
        abort(); // the table is wrong, and a unit test shows it
}

const struct doc_node *doc_member(const struct doc_node *node, const char *name)
{
    if (node->type != DOC_OBJECT)
        return NULL;
    for (const struct doc_node *m = node->first; m != NULL; m = m->next) {
        if (strcmp(m->name, name) == 0)
            return m;
    }
    return NULL;
}

const char *doc_type_name(enum doc_type type)
{
    static const char *const names[] = {
        [DOC_NULL] = "null",       [DOC_BOOLEAN] = "true or false", [DOC_NUMBER] = "a number",
        [DOC_STRING] = "a string", [DOC_ARRAY] = "an array",        [DOC_OBJECT] = "an object",
    };
    return names[type];
}

bool doc_whole_number(const struct doc_node *node, uint64_t *value_r)
{
    uint64_t value = 0;
    for (size_t i = 0; i < node->length; i++) {
        char c = node->text[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(c - '0'), &value))
            return false;
    }
    *value_r = value;
    return node->type == DOC_NUMBER;
}

size_t pointer_push(struct buf *pointer, const char *name)
{
    size_t before = pointer->len;
    buf_append_text(pointer, "/");
    for (const char *p = name; *p != '\0'; p++) {
        if (*p == '~')
            buf_append_text(pointer, "~0");
        else if (*p == '/')
            buf_append_text(pointer, "~1");
        else
            buf_append(pointer, p, 1);
    }
    return before;
}

size_t pointer_push_index(struct buf *pointer, size_t index)
{
    size_t before = pointer->len;
    buf_printf(pointer, "/%zu", index);
    return before;
}

// --- duplicate members ---------------------------------------------------------------------------

struct named {
    struct doc_node *node;
    size_t place;
};

static int by_name_then_place(const void *a, const void *b)
{
    const struct named *x = a;
    const struct named *y = b;
    int order = strcmp(x->node->name, y->node->name);
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

// Sorted, because a large object would take long otherwise.
static void mark_duplicates(struct doc_node *object, struct buf *pointer,
                            struct config_faults *faults)
{
    struct named *members = mem_alloc(object->count * sizeof(*members));
    size_t n = 0;
    for (struct doc_node *m = object->first; m != NULL; m = m->next, n++)
        members[n] = (struct named){m, n};
    qsort(members, n, sizeof(*members), by_name_then_place);
    const struct doc_node *first = NULL;
    for (size_t i = 0; i < n; i++) {
        struct doc_node *node = members[i].node;
        if (first == NULL || strcmp(first->name, node->name) != 0) {
            first = node;
            continue;
        }
        node->duplicate = true;
        size_t mark = pointer_push(pointer, node->name);
        config_faults_add(faults, node->name_line, buf_text(pointer),
                          "this member is there twice, first in line %u; remove or rename one",
                          first->name_line);
        pointer->len = mark;
    }
    free(members);
}

static void find_duplicates(struct doc_node *node, struct buf *pointer,
                            struct config_faults *faults)
{
    if (node->type == DOC_OBJECT && node->count > 1)
        mark_duplicates(node, pointer, faults);
    size_t index = 0;
    for (struct doc_node *child = node->first; child != NULL; child = child->next, index++) {
        size_t mark = node->type == DOC_OBJECT ? pointer_push(pointer, child->name)
                                               : pointer_push_index(pointer, index);
        find_duplicates(child, pointer, faults);
        pointer->len = mark;
    }
}

void document_find_duplicates(struct document *doc, struct config_faults *faults)
{
    struct buf pointer = {0};
    find_duplicates(doc->root, &pointer, faults);
    buf_deinit(&pointer);
}
