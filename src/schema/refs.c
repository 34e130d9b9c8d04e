// SPDX-License-Identifier: Apache-2.0
// The first step of compiling: from the root on, every schema that is applied, and what each
// reference names. A text is looked up when the first reference to it is met; of the texts looked
// up only what is referred to counts.
#include "schema/compile_priv.h"

#include "core/mem.h"
#include "json/pointer.h"
#include "schema/uri_priv.h"

#include <stdlib.h>
#include <string.h>

// --- from schema to schema -----------------------------------------------------------------------

static void reach(struct compiler *compiler, uint32_t token, uint32_t resource)
{
    (void)resource;
    if (compiler->notes[token].is_reached)
        return;
    compiler->notes[token].is_reached = true;
    if (compiler->tape->tokens[token].kind == TAPE_OBJECT)
        *COMPILER_PUSH(compiler, reached) = token;
}

static bool is_reference(enum keyword keyword)
{
    return keyword == KEYWORD_REF || keyword == KEYWORD_DYNAMIC_REF ||
           keyword == KEYWORD_RECURSIVE_REF;
}

// Does the schema apply what the keyword holds? Definitions only wait to be referred to; those of
// the root's document are compiled all the same, so that their faults are found.
static bool is_applied(enum keyword keyword, bool in_root)
{
    bool defines = keyword == KEYWORD_DEFS || keyword == KEYWORD_DEFINITIONS;

    return (in_root || !defines) && keyword != KEYWORD_CONTENT_SCHEMA;
}

static void look_through(struct compiler *compiler, uint32_t token)
{
    const struct tape *tape = compiler->tape;
    uint32_t resource = compiler->notes[token].resource;
    struct dialect dialect = compiler->resources[resource].dialect;
    bool ref_alone = dialect_ref_alone(compiler, &dialect, token);
    bool in_root = documents_number(compiler, token) == 0;

    FOR_MEMBERS(tape, key, token)
    {
        enum keyword keyword = dialect_keyword(compiler, &dialect, key);
        if (keyword == KEYWORD_COUNT)
            continue;
        if (is_reference(keyword) && tape->tokens[key + 1].kind == TAPE_STRING)
            *COMPILER_PUSH(compiler, refs) = (struct pending_ref){key, resource};
        else if (is_applied(keyword, in_root) &&
                 (!ref_alone || keyword == KEYWORD_DEFS || keyword == KEYWORD_DEFINITIONS))
            subschemas_each(compiler, key, keyword, reach, resource);
    }
}

// --- from reference to schema --------------------------------------------------------------------

// Looks the text at `uri` up and adds it; RESOURCE_NONE, with a fault, when it is not to be had.
static uint32_t load(struct compiler *compiler, uint32_t key, const char *uri, size_t length)
{
    struct schema_source source;
    struct buf made = {0};
    struct status st = {0};
    struct uri parts;
    uint32_t resource = RESOURCE_NONE;

    uri_split(uri, length, &parts);
    if (!parts.scheme.present) {
        compiler_fault(compiler, key,
                       "refers to \"%.200s\", which is relative, and there is no URI that it would "
                       "be relative to; give the schema an \"$id\"",
                       uri);
        return RESOURCE_NONE;
    }
    enum status_code code = metaschema_lookup(compiler->options, uri, &made, &source, &st);
    if (code == STATUS_NOT_FOUND)
        compiler_fault(compiler, key,
                       "no schema is known under \"%.200s\"%s%s; register it with --ref URI=FILE, "
                       "or under \"schemas\" in the configuration",
                       uri, st.detail[0] != '\0' ? ": " : "", st.detail);
    else if (code != STATUS_OK)
        compiler_fault(compiler, key, "the schema \"%.200s\" is not to be had: %s", uri, st.detail);
    else if (source.length > SCHEMA_TEXTS_MAX - compiler->schema->length)
        compiler_fault(compiler, key, "with \"%.200s\" the schemas are more than %zu bytes", uri,
                       SCHEMA_TEXTS_MAX);
    else
        resource = resources_enter(compiler,
                                   documents_add(compiler, source.text, source.length, source.name),
                                   uri, length);
    buf_deinit(&made);
    return resource;
}

static uint32_t find_resource(struct compiler *compiler, const struct pending_ref *ref,
                              const struct uri *reference)
{
    const struct resource *from = &compiler->resources[ref->resource];
    struct buf target = {0};
    struct uri base;

    if (!reference->scheme.present && !reference->authority.present &&
        reference->path.length == 0 && !reference->query.present)
        return ref->resource;
    uri_split(from->uri, from->length, &base);
    uri_resolve(&base, reference, &target);
    size_t length = target.len;
    char *uri = arena_alloc(&compiler->names, length + 1, 1);
    if (length > 0)
        memcpy(uri, target.data, length);
    buf_deinit(&target);
    uint32_t found = resources_find(compiler, uri, length);
    return found != RESOURCE_NONE ? found : load(compiler, ref->key, uri, length);
}

static uint32_t find_pointer(struct compiler *compiler, uint32_t key, uint32_t resource,
                             const char *text, size_t length)
{
    struct pointer *pointer = NULL;
    struct status st = {0};

    if (pointer_compile(text, length, &pointer, &st) != STATUS_OK) {
        compiler_fault(compiler, key, "not a JSON Pointer: %s", st.detail);
        return TAPE_NONE;
    }
    uint32_t found = pointer_find(pointer, compiler->tape, compiler->resources[resource].root);
    pointer_destroy(&pointer);
    if (found == TAPE_NONE)
        compiler_fault(compiler, key, "refers to a place that the schema does not have");
    return found;
}

static uint32_t find_anchor(struct compiler *compiler, uint32_t key, uint32_t resource,
                            const char *name, size_t length)
{
    const struct anchor *anchor = resources_find_anchor(compiler, resource, name, length);

    if (anchor == NULL) {
        compiler_fault(compiler, key, "refers to an anchor that the schema does not have");
        return TAPE_NONE;
    }
    if (anchor->is_dynamic && keyword_of_token(compiler->tape, key) == KEYWORD_DYNAMIC_REF) {
        compiler->notes[key].is_dynamic = true;
        compiler->notes[key].slot = resources_slot(compiler, anchor->name, length);
    }
    return anchor->token;
}

// "$recursiveRef" is "#", and dynamic where that has "$recursiveAnchor": true.
static void check_recursive(struct compiler *compiler, uint32_t key, const char *text,
                            size_t length, uint32_t resource)
{
    if (keyword_of_token(compiler->tape, key) != KEYWORD_RECURSIVE_REF)
        return;
    if (length != 1 || *text != '#')
        compiler_fault(compiler, key, "a \"$recursiveRef\" is always \"#\"");
    if (compiler->resources[resource].is_recursive) {
        compiler->notes[key].is_dynamic = true;
        compiler->notes[key].slot = resources_slot(compiler, "", 0);
    }
}

// Is it the root of a text that is no JSON? That has its fault.
static bool is_broken(const struct compiler *compiler, uint32_t resource)
{
    const struct tape_token *root = &compiler->tape->tokens[compiler->resources[resource].root];

    return root->start == root->end;
}

// The value that the reference names, or TAPE_NONE and a fault.
static uint32_t resolve(struct compiler *compiler, const struct pending_ref *ref)
{
    uint32_t key = ref->key;
    size_t length;
    char *text = compiler_name_text(compiler, key + 1, &length);
    struct uri reference;

    uri_split(text, length, &reference);
    uint32_t resource = find_resource(compiler, ref, &reference);
    if (resource == RESOURCE_NONE || is_broken(compiler, resource))
        return TAPE_NONE;
    check_recursive(compiler, key, text, length, resource);
    if (!reference.fragment.present || reference.fragment.length == 0)
        return compiler->resources[resource].root;
    char *fragment = text + (reference.fragment.at - text);
    length = reference.fragment.length;
    if (!uri_percent_decode(fragment, &length)) {
        compiler_fault(compiler, key, "a %% must be followed by two hex digits");
        return TAPE_NONE;
    }
    return fragment[0] == '/' ? find_pointer(compiler, key, resource, fragment, length)
                              : find_anchor(compiler, key, resource, fragment, length);
}

static void resolve_next(struct compiler *compiler)
{
    struct pending_ref ref = compiler->refs[--compiler->n_refs];
    uint32_t target = resolve(compiler, &ref);

    if (target == TAPE_NONE)
        return;
    enum tape_kind kind = (enum tape_kind)compiler->tape->tokens[target].kind;
    if (kind != TAPE_OBJECT && kind != TAPE_TRUE && kind != TAPE_FALSE) {
        compiler_fault(compiler, ref.key, "refers to something that is no schema: %s",
                       tape_kind_name(kind));
        return;
    }
    resources_enter_at(compiler, target);
    compiler->notes[ref.key].target = target;
    reach(compiler, target, RESOURCE_NONE);
}

void refs_reach(struct compiler *compiler)
{
    reach(compiler, 0, RESOURCE_NONE);
    do {
        while (compiler->n_reached > 0 || compiler->n_refs > 0) {
            if (compiler->n_reached > 0)
                look_through(compiler, compiler->reached[--compiler->n_reached]);
            else
                resolve_next(compiler);
        }
        // A dynamic reference may come to every anchor of its name.
        for (uint32_t i = 0; i < compiler->n_slots; i++)
            resources_each_target(compiler, i, reach);
    } while (compiler->n_reached > 0);
}
