// SPDX-License-Identifier: Apache-2.0
// Schema resources (JSON Schema Core section 4.3.5) and anchors: found by walking through every
// schema of a document when it is added. What stands in unknown keywords, const or enum is no
// schema, until a reference says so.
#include "schema/compile_priv.h"

#include "core/hash.h"
#include "schema/uri_priv.h"

#include <stdlib.h>
#include <string.h>

// --- resources -----------------------------------------------------------------------------------

uint32_t resources_find(const struct compiler *compiler, const char *uri, size_t length)
{
    uint64_t hash = hash_bytes(uri, length, 0);
    size_t at = hash;
    uint32_t number;

    while ((number = index_next(&compiler->resources_by_uri, hash, &at)) != INDEX_NONE) {
        const struct resource_name *name = &compiler->resource_names[number];
        if (name->length == length && memcmp(name->uri, uri, length) == 0)
            return name->resource;
    }
    return RESOURCE_NONE;
}

// Gives the resource one more URI, which is its base from now on. False when it is another's.
static bool name_resource(struct compiler *compiler, uint32_t number, const char *uri,
                          size_t length)
{
    struct resource *resource = &compiler->resources[number];

    resource->uri = uri;
    resource->length = length;
    if (length == 0)
        return true;
    uint32_t other = resources_find(compiler, uri, length);
    if (other != RESOURCE_NONE)
        return other == number;
    index_put(&compiler->resources_by_uri, hash_bytes(uri, length, 0),
              (uint32_t)compiler->n_resource_names);
    struct resource_name *name = COMPILER_PUSH(compiler, resource_names);
    *name = (struct resource_name){.uri = uri, .length = length, .resource = number};
    return true;
}

static uint32_t add_resource(struct compiler *compiler, uint32_t root,
                             const struct dialect *dialect)
{
    struct resource *resource = COMPILER_PUSH(compiler, resources);

    *resource = (struct resource){.uri = "", .root = root, .dialect = *dialect};
    return (uint32_t)compiler->n_resources - 1;
}

static int by_token(const void *a, const void *b)
{
    uint32_t first = ((const struct named_resource *)a)->token;
    uint32_t second = ((const struct named_resource *)b)->token;

    return first < second ? -1 : first > second;
}

void resources_keep(struct compiler *compiler)
{
    struct schema *schema = compiler->schema;
    struct named_resource *kept = arena_alloc(&schema->arena, compiler->n_resources, sizeof(*kept));
    uint32_t n = 0;

    for (size_t i = 0; i < compiler->n_resources; i++) {
        const struct resource *resource = &compiler->resources[i];
        char *uri = arena_alloc(&schema->arena, resource->length + 1, 1);
        memcpy(uri, resource->uri, resource->length);
        kept[n++] = (struct named_resource){.token = resource->root, .uri = uri};
    }
    qsort(kept, n, sizeof(*kept), by_token);
    schema->resources = kept;
    schema->n_resources = n;
}

// --- anchors -------------------------------------------------------------------------------------

static struct anchor *find_anchor(const struct compiler *compiler, uint32_t resource,
                                  const char *name, size_t length)
{
    uint64_t hash = hash_bytes(name, length, resource);
    size_t at = hash;
    uint32_t number;

    while ((number = index_next(&compiler->anchors_by_name, hash, &at)) != INDEX_NONE) {
        struct anchor *anchor = &compiler->anchors[number];
        if (anchor->resource == resource && anchor->length == length &&
            memcmp(anchor->name, name, length) == 0)
            return anchor;
    }
    return NULL;
}

const struct anchor *resources_find_anchor(const struct compiler *compiler, uint32_t resource,
                                           const char *name, size_t length)
{
    return find_anchor(compiler, resource, name, length);
}

// The anchor `name` of the schema at `token`; `value`: the string that says so.
static void add_anchor(struct compiler *compiler, const struct anchor *new, uint32_t value)
{
    struct anchor *known = find_anchor(compiler, new->resource, new->name, new->length);

    if (known != NULL && known->token == new->token) {
        known->is_dynamic |= new->is_dynamic;
        return;
    }
    if (known != NULL) {
        compiler_fault(compiler, value, "another schema of this resource has the same anchor");
        return;
    }
    index_put(&compiler->anchors_by_name, hash_bytes(new->name, new->length, new->resource),
              (uint32_t)compiler->n_anchors);
    *COMPILER_PUSH(compiler, anchors) = *new;
}

static void take_anchors(struct compiler *compiler, uint32_t token, uint32_t number)
{
    static const enum keyword keywords[] = {KEYWORD_ANCHOR, KEYWORD_DYNAMIC_ANCHOR};
    const struct tape *tape = compiler->tape;
    struct dialect dialect = compiler->resources[number].dialect;

    for (size_t i = 0; i < 2; i++) {
        uint32_t value = dialect_string(compiler, &dialect, token, keywords[i]);
        struct anchor anchor = {.resource = number, .token = token, .is_dynamic = i == 1};
        if (value == TAPE_NONE)
            continue;
        anchor.name = compiler_name_text(compiler, value, &anchor.length);
        add_anchor(compiler, &anchor, value);
    }
    if ((dialect.draft_bit & DRAFT_19) == 0 || compiler->resources[number].root != token)
        return;
    uint32_t recursive = dialect_member(compiler, &dialect, token, KEYWORD_RECURSIVE_ANCHOR);
    compiler->resources[number].is_recursive =
        recursive != TAPE_NONE && tape->tokens[recursive].kind == TAPE_TRUE;
}

// --- identifiers ---------------------------------------------------------------------------------

// Before 2019-09 the fragment of "$id" is an anchor; after it there may be none.
static void take_fragment(struct compiler *compiler, uint32_t token, uint32_t value,
                          const struct uri_part *fragment, uint32_t number)
{
    const struct dialect *dialect = &compiler->resources[number].dialect;
    struct anchor anchor = {
        .name = fragment->at, .length = fragment->length, .resource = number, .token = token};

    if (!fragment->present || fragment->length == 0)
        return;
    if ((dialect->draft_bit & DRAFTS_TO_7) != 0)
        add_anchor(compiler, &anchor, value);
    else
        compiler_fault(compiler, value,
                       "an \"$id\" has no fragment (#...) in draft %s; write \"$anchor\" instead",
                       keyword_draft_name(dialect->draft));
}

// Is the schema at `token` the same as the one that has the URI, in another document? One file may
// be found under several URIs.
static bool is_copy(const struct compiler *compiler, uint32_t token, const char *uri, size_t length)
{
    const struct tape *tape = compiler->tape;
    uint32_t other = compiler->resources[resources_find(compiler, uri, length)].root;
    size_t other_length, own_length;
    const char *other_text = tape_raw(tape, other, &other_length);
    const char *own_text = tape_raw(tape, token, &own_length);

    return documents_number(compiler, token) != documents_number(compiler, other) &&
           other_length == own_length && memcmp(other_text, own_text, own_length) == 0;
}

// What "$id" says of the schema: returns its resource, a new one unless the schema is the root of
// `number`.
static uint32_t take_id(struct compiler *compiler, uint32_t token, uint32_t value, uint32_t number,
                        const struct dialect *dialect)
{
    struct uri base, id;
    struct buf target = {0};
    size_t length;
    const char *text = compiler_name_text(compiler, value, &length);

    uri_split(compiler->resources[number].uri, compiler->resources[number].length, &base);
    uri_split(text, length, &id);
    bool is_root = compiler->resources[number].root == token;
    bool only_fragment = id.fragment.present && id.fragment.at == text + 1;
    if (!only_fragment) {
        uri_resolve(&base, &id, &target);
        char *uri = arena_alloc(&compiler->names, target.len + 1, 1);
        if (target.len > 0)
            memcpy(uri, target.data, target.len);
        if (!is_root)
            number = add_resource(compiler, token, dialect);
        if (!name_resource(compiler, number, uri, target.len) &&
            !is_copy(compiler, token, uri, target.len))
            compiler_fault(compiler, value, "another schema has the same URI, \"%s\"", uri);
        buf_deinit(&target);
    }
    take_fragment(compiler, token, value, &id.fragment, number);
    return number;
}

// The resource of the schema object at `token`, which stands in resource `number`: that, or its
// own.
static uint32_t find_resource(struct compiler *compiler, uint32_t token, uint32_t number)
{
    struct dialect dialect = compiler->resources[number].dialect;
    bool is_root = compiler->resources[number].root == token;
    uint32_t schema = dialect_string(compiler, &dialect, token, KEYWORD_SCHEMA);

    if (dialect_ref_alone(compiler, &dialect, token))
        return number;
    if (!is_root && schema != TAPE_NONE)
        dialect_choose(compiler, token, &dialect);
    uint32_t id = dialect_string(compiler, &dialect, token,
                                 dialect.draft == SCHEMA_DRAFT_4 ? KEYWORD_ID_4 : KEYWORD_ID);
    if (id != TAPE_NONE)
        number = take_id(compiler, token, id, number, &dialect);
    if (schema != TAPE_NONE && compiler->resources[number].root != token)
        compiler_fault(compiler, schema,
                       "\"$schema\" may stand at the root of a file and beside an \"$id\" only");
    return number;
}

// --- walking -------------------------------------------------------------------------------------

static void enter(struct compiler *compiler, uint32_t token, uint32_t number)
{
    const struct tape *tape = compiler->tape;

    if (compiler->notes[token].resource != RESOURCE_NONE)
        return;
    if (tape->tokens[token].kind == TAPE_OBJECT)
        number = find_resource(compiler, token, number);
    compiler->notes[token].resource = number;
    if (tape->tokens[token].kind != TAPE_OBJECT)
        return;
    struct dialect dialect = compiler->resources[number].dialect;
    bool ref_alone = dialect_ref_alone(compiler, &dialect, token);
    if (!ref_alone)
        take_anchors(compiler, token, number);
    FOR_MEMBERS(tape, key, token)
    {
        enum keyword keyword = dialect_keyword(compiler, &dialect, key);
        if (keyword == KEYWORD_COUNT ||
            (ref_alone && keyword != KEYWORD_DEFS && keyword != KEYWORD_DEFINITIONS))
            continue;
        compiler->has_unevaluated |=
            keyword == KEYWORD_UNEVALUATED_PROPERTIES || keyword == KEYWORD_UNEVALUATED_ITEMS;
        subschemas_each(compiler, key, keyword, enter, number);
    }
}

uint32_t resources_enter(struct compiler *compiler, uint32_t document, const char *uri,
                         size_t length)
{
    uint32_t root = compiler->schema->documents[document].token;
    struct dialect dialect = compiler->root_dialect;

    bool known = compiler->tape->tokens[root].kind != TAPE_OBJECT ||
                 dialect_choose(compiler, root, &dialect);
    if (document == 0) {
        compiler->root_dialect = dialect;
        compiler->has_no_dialect = !known;
    }
    uint32_t number = add_resource(compiler, root, &dialect);
    name_resource(compiler, number, uri, length);
    enter(compiler, root, number);
    return number;
}

// The child of the container at `at` that holds `target`.
static uint32_t child_with(const struct tape *tape, uint32_t at, uint32_t target)
{
    bool object = tape->tokens[at].kind == TAPE_OBJECT;
    uint32_t value = at + 1 + object;

    while (tape->tokens[value].next <= target)
        value = tape->tokens[value].next + object;
    return value;
}

void resources_enter_at(struct compiler *compiler, uint32_t token)
{
    uint32_t at = schema_document(compiler->schema, token)->token;
    uint32_t number = compiler->notes[at].resource;

    if (compiler->notes[token].resource != RESOURCE_NONE)
        return;
    while (at != token) {
        at = child_with(compiler->tape, at, token);
        if (compiler->notes[at].resource != RESOURCE_NONE)
            number = compiler->notes[at].resource;
    }
    enter(compiler, token, number);
}

// --- dynamic anchors -----------------------------------------------------------------------------

uint32_t resources_slot(struct compiler *compiler, const char *name, size_t length)
{
    for (size_t i = 0; i < compiler->n_slots; i++)
        if (compiler->slots[i].length == length &&
            memcmp(compiler->slots[i].name, name, length) == 0)
            return (uint32_t)i;
    struct slot *slot = COMPILER_PUSH(compiler, slots);
    *slot = (struct slot){.name = name, .length = length};
    return (uint32_t)compiler->n_slots - 1;
}

void resources_each_target(struct compiler *compiler, uint32_t slot, subschema_fn visit)
{
    const char *name = compiler->slots[slot].name;
    size_t length = compiler->slots[slot].length;

    for (uint32_t i = 0; length == 0 && i < compiler->n_resources; i++)
        if (compiler->resources[i].is_recursive)
            visit(compiler, compiler->resources[i].root, i);
    for (uint32_t i = 0; length > 0 && i < compiler->n_resources; i++) {
        const struct anchor *anchor = find_anchor(compiler, i, name, length);
        if (anchor != NULL && anchor->is_dynamic)
            visit(compiler, anchor->token, i);
    }
}

static void count_target(struct compiler *compiler, uint32_t token, uint32_t resource)
{
    (void)token;
    (void)resource;
    compiler->slots[compiler->slot].n_targets++;
}

static void bind_target(struct compiler *compiler, uint32_t token, uint32_t resource)
{
    struct bound_target *bound = COMPILER_PUSH(compiler, bound_targets);

    *bound = (struct bound_target){.token = token, .resource = resource, .slot = compiler->slot};
    compiler->resources[resource].n_bindings++;
}

void resources_bind(struct compiler *compiler)
{
    for (compiler->slot = 0; compiler->slot < compiler->n_slots; compiler->slot++)
        resources_each_target(compiler, compiler->slot, count_target);
    for (compiler->slot = 0; compiler->slot < compiler->n_slots; compiler->slot++)
        if (compiler->slots[compiler->slot].n_targets > 1)
            resources_each_target(compiler, compiler->slot, bind_target);
    for (size_t i = 0; i < compiler->n_bound_targets; i++) {
        struct bound_target *bound = &compiler->bound_targets[i];
        struct resource *resource = &compiler->resources[bound->resource];
        if (resource->bindings == NULL) {
            resource->bindings = arena_alloc(&compiler->schema->arena, resource->n_bindings,
                                             sizeof(*resource->bindings));
            resource->n_bindings = 0;
        }
        bound->binding = &resource->bindings[resource->n_bindings++];
        *bound->binding =
            (struct binding){.slot = bound->slot, .block = BLOCK_NONE, .tracked = BLOCK_NONE};
    }
}
