// SPDX-License-Identifier: Apache-2.0
// What the files of the compiler share. It goes in three steps:
//  1. reach: every schema that the root comes to is found, the texts it refers to are added and
//     their resources and anchors entered, and every reference gets its target (resources.c,
//     refs.c). After it no text is added, and nothing in the tape moves.
//  2. compile: works through a list of blocks (schemas yet to be compiled), which the emitters of
//     one block lengthen with the schemas found in it (blocks.c, emit_*.c).
//  3. link: numbers of blocks become addresses (compile.c).
#ifndef CXSINK_SCHEMA_COMPILE_PRIV_H
#define CXSINK_SCHEMA_COMPILE_PRIV_H

#include "core/buf.h"
#include "schema/compile.h"
#include "schema/index_priv.h"
#include "schema/keywords_priv.h"
#include "schema/program_priv.h"

#include <stdint.h>

// Schemas applied to one and the same value through one another ($ref, allOf, ...), at most: bounds
// the stack that validation needs.
#define SCHEMA_IN_PLACE_MAX 64
#define RESOURCE_NONE UINT32_MAX

// Forms that a schema is compiled in.
enum variant {
    VARIANT_PLAIN,         // for the verdict alone
    VARIANT_TRACKED,       // recording what it evaluates, for an "unevaluated..." around it
    VARIANT_BODY,          // what OP_TRACK runs: recording, for an "unevaluated..." of its own
    VARIANT_ENTRY,         // OP_SCOPE around the plain form
    VARIANT_ENTRY_TRACKED, // OP_SCOPE around the tracked form
    VARIANT_COUNT,
};

// The rules that a resource's keywords follow.
struct dialect {
    enum schema_draft draft;
    unsigned draft_bit;
    unsigned vocabularies;
    bool asserts_formats; // whatever the options say
};

// A schema with a URI of its own, or the root of a document.
struct resource {
    const char *uri; // its base, in the arena of names; "" when it has none
    size_t length;
    uint32_t root; // token
    struct dialect dialect;
    bool is_recursive; // "$recursiveAnchor": true
    uint32_t n_bindings;
    struct binding *bindings; // of its dynamic anchors that matter; NULL: none
};

// A resource may have two URIs: where it was found, and its "$id".
struct resource_name {
    const char *uri;
    size_t length;
    uint32_t resource;
};

struct anchor {
    const char *name; // in the arena of names
    size_t length;
    uint32_t resource;
    uint32_t token; // of the schema
    bool is_dynamic;
};

// What the first step finds out about a token.
struct note {
    uint32_t resource; // of a schema; RESOURCE_NONE: not known to be one
    uint32_t target;   // of a reference's key: the schema it names, TAPE_NONE when it is faulty
    uint32_t slot;     // of a reference's key that is dynamic: `target` is only the default then
    bool is_dynamic;
    bool is_reached;  // a schema
    bool is_compiled; // a schema, in one form at least
};

struct pending_ref {
    uint32_t key;
    uint32_t resource; // that it stands in
};

// A schema to be compiled.
struct block_job {
    uint32_t token;       // of its value
    enum keyword keyword; // that holds it
    enum variant variant;
    uint32_t start; // its first instruction, once compiled
};

// "from" applies "to" to the same value.
struct in_place {
    block_t from, to;
    uint32_t token; // of the keyword; TAPE_NONE: between two forms of one schema
};

// A name that $dynamicRef asks for. Its bindings are all in the scopes of resources.
struct slot {
    const char *name; // "" for $recursiveRef, which anchors cannot have
    size_t length;
    uint32_t n_targets;       // anchors of the name; one: references to it are static
    bool is_used, is_tracked; // an OP_DYNAMIC, an OP_DYNAMIC_MARKED asks for it
};

// An OP_DYNAMIC, for the check of endless application.
struct dynamic_use {
    block_t from;
    uint32_t slot;
    uint32_t token; // of the keyword
};

struct bound_target {
    uint32_t token; // of the schema
    uint32_t resource, slot;
    struct binding *binding;
};

struct kept_fault {
    uint32_t token;
    uint32_t order;
    char *message; // owned
};

// A meta-schema that "$schema" named.
struct metaschema {
    const char *uri;
    size_t length;
    struct dialect dialect;
};

// Growable arrays; each has its count beside it.
struct compiler {
    struct schema *schema;
    const struct tape *tape; // schema->tape
    const struct schema_options *options;
    struct arena names; // until compiling ends
    struct dialect root_dialect;
    size_t cap_documents, cap_text;
    struct note *notes; // by token
    size_t cap_notes;
    struct resource *resources;
    size_t n_resources, cap_resources;
    struct resource_name *resource_names;
    size_t n_resource_names, cap_resource_names;
    struct index resources_by_uri; // of names
    struct anchor *anchors;
    size_t n_anchors, cap_anchors;
    struct index anchors_by_name;
    struct metaschema *metaschemas;
    size_t n_metaschemas, cap_metaschemas;
    uint32_t *reached; // schemas yet to be looked through
    size_t n_reached, cap_reached;
    struct pending_ref *refs; // yet to be resolved
    size_t n_refs, cap_refs;
    struct slot *slots;
    size_t n_slots, cap_slots;
    uint32_t slot; // that is being gone through
    bool has_unevaluated;
    // From the second step on.
    const struct dialect *dialect;    // of the block being compiled
    uint32_t resource;                // its number
    bool is_repeat;                   // it was compiled in another form: its faults are known
    block_t *block_of[VARIANT_COUNT]; // by token; NULL while none has that form
    struct block_job *blocks;
    size_t n_blocks, cap_blocks;
    block_t **fixups; // operands that name a block by number until linked
    size_t n_fixups, cap_fixups;
    struct object **objects; // for linking
    size_t n_objects, cap_objects;
    struct in_place *in_places;
    size_t n_in_places, cap_in_places;
    struct dynamic_use *dynamic_uses;
    size_t n_dynamic_uses, cap_dynamic_uses;
    struct bound_target *bound_targets;
    size_t n_bound_targets, cap_bound_targets;
    uint32_t *stamps; // by token: the last analysis that came by; NULL while there was none
    uint32_t n_analyses;
    uint32_t *regex_of; // by token of the pattern: number in schema->regexes plus 1
    size_t cap_regexes, room_program;
    bool has_no_dialect; // the root's "$schema" names nothing known
    struct kept_fault *faults;
    size_t n_faults, cap_faults;
    size_t burnt;        // instructions that choice.c has looked at
    size_t count_faults; // all, also those not kept
};

// What a schema evaluates of its value whenever it passes.
struct evaluated {
    bool all_members, all_elements;
    bool members_depend, elements_depend; // on the value: more may be evaluated than is told here
    uint32_t n_elements;                  // the first so many
    uint32_t *names;                      // keys of `properties`, owned
    size_t n_names, cap_names;
    uint32_t *patterns; // keys of `patternProperties`, owned
    size_t n_patterns, cap_patterns;
};

// The keywords of the schema object being compiled: tokens of their keys, TAPE_NONE where absent or
// of the wrong shape. The value's token is the key's plus one.
struct site {
    block_t block;
    uint32_t token;
    bool is_tracked; // what it evaluates is recorded
    uint32_t key[KEYWORD_COUNT];
    struct evaluated evaluated; // where there is an "unevaluated..."
};

#define KEEP_FAULTS_MAX 1000

// compile.c
void compiler_fault(struct compiler *compiler, uint32_t token, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// `array`, with room for one more than `count` elements; *cap is updated.
void *compiler_room(void *array, size_t count, size_t *cap, size_t size);
// Counts one more element of the array `name` and is its address, uninitialised.
#define COMPILER_PUSH(compiler, name)                                                      \
    ((compiler)->name = compiler_room((compiler)->name, (compiler)->n_##name,              \
                                      &(compiler)->cap_##name, sizeof(*(compiler)->name)), \
     &(compiler)->name[(compiler)->n_##name++])
// The block of the schema at `token`, which `keyword` holds, in that form; queued when it is new.
block_t compiler_block(struct compiler *compiler, uint32_t token, enum keyword keyword,
                       enum variant variant);
// Compiles the schema of a keyword that means nothing where it stands, so that its faults are
// found.
void compiler_unapplied(struct compiler *compiler, const struct site *site, enum keyword keyword);
// A block as above, set at *where now and as an address when linked.
void compiler_refer_form(struct compiler *compiler, block_t *where, uint32_t token,
                         enum keyword keyword, enum variant variant);
// The plain form, as it is entered from the block being compiled.
void compiler_refer(struct compiler *compiler, block_t *where, uint32_t token,
                    enum keyword keyword);
// The same for a schema that applies to the same value, recording if the site does; `key` is the
// keyword's.
void compiler_refer_in_place(struct compiler *compiler, const struct site *site, block_t *where,
                             uint32_t token, uint32_t key);
// Never recording: what `not` finds out does not count.
void compiler_refer_apart(struct compiler *compiler, const struct site *site, block_t *where,
                          uint32_t token, uint32_t key);
struct instruction *compiler_emit(struct compiler *compiler, const struct site *site,
                                  enum opcode op, unsigned kinds, enum keyword keyword);
// Unescaped copy of a string token, NUL-terminated: in the schema's arena, or among the names.
char *compiler_text(struct compiler *compiler, uint32_t string, size_t *length_r);
char *compiler_name_text(struct compiler *compiler, uint32_t string, size_t *length_r);
struct name compiler_name(struct compiler *compiler, uint32_t string);
// NULL, and a fault at `token`, when the pattern is faulty.
struct regex *compiler_regex(struct compiler *compiler, uint32_t string, uint32_t token);

static inline bool site_has(const struct site *site, enum keyword keyword)
{
    return site->key[keyword] != TAPE_NONE;
}

// blocks.c: all blocks, from the root's on.
void blocks_compile(struct compiler *compiler);

// documents.c
// Adds a text behind the others and returns its number. A text that is no JSON becomes a null,
// which has a fault.
uint32_t documents_add(struct compiler *compiler, const char *text, size_t length,
                       const char *name);
void documents_add_root(struct compiler *compiler);
// Copies and parses the root's text.
bool documents_parse_root(struct schema *schema, const char *text, size_t length);
uint32_t documents_number(const struct compiler *compiler, uint32_t token);
// Hands the collected faults over, in the text's order.
void documents_tell_faults(struct compiler *compiler, struct schema_faults *faults);
void documents_tell_syntax(const struct schema *schema, struct schema_faults *faults);

// dialect.c
void dialect_of_draft(enum schema_draft draft, struct dialect *dialect_r);
// Of the schema object at `token`, by its "$schema"; *dialect_r is left alone when it has none.
// False, with a fault, when that names nothing known.
bool dialect_choose(struct compiler *compiler, uint32_t token, struct dialect *dialect_r);
// The keyword of a member's name in that dialect; KEYWORD_COUNT: none.
enum keyword dialect_keyword(const struct compiler *compiler, const struct dialect *dialect,
                             uint32_t key);
// The value of the keyword if it is there and known, else TAPE_NONE; and only if it is a string.
uint32_t dialect_member(const struct compiler *compiler, const struct dialect *dialect,
                        uint32_t token, enum keyword keyword);
uint32_t dialect_string(const struct compiler *compiler, const struct dialect *dialect,
                        uint32_t token, enum keyword keyword);
// Does a "$ref" stand there that makes the draft ignore what stands beside it?
bool dialect_ref_alone(const struct compiler *compiler, const struct dialect *dialect,
                       uint32_t token);
// metaschema.c: the text of a standard meta-schema, made now; false when there is none of the URI
// (without fragment).
bool metaschema_write(const char *uri, size_t length, struct buf *out);
bool metaschema_draft(const char *uri, size_t length, enum schema_draft *draft_r);
// The vocabulary that the URI names, and its draft; VOCABULARY_COUNT: none.
enum vocabulary metaschema_vocabulary(const char *uri, size_t length, enum schema_draft *draft_r);
// Looks a text up: the options' lookup, then the standard meta-schemas (into `made`). STATUS_OK,
// STATUS_NOT_FOUND, or what the lookup says.
enum status_code metaschema_lookup(const struct schema_options *options, const char *uri,
                                   struct buf *made, struct schema_source *source_r,
                                   struct status *st);

// subschemas.c: calls `visit` with each schema that the keyword at `key` holds.
typedef void (*subschema_fn)(struct compiler *compiler, uint32_t token, uint32_t resource);
void subschemas_each(struct compiler *compiler, uint32_t key, enum keyword keyword,
                     subschema_fn visit, uint32_t resource);

// resources.c
// Enters the document's root and every resource and anchor in it; returns the root's resource.
// `uri`: where it was found, "" when that is not known.
uint32_t resources_enter(struct compiler *compiler, uint32_t document, const char *uri,
                         size_t length);
// Enters a schema that stands where none was expected, e.g. in an unknown keyword.
void resources_enter_at(struct compiler *compiler, uint32_t token);
uint32_t resources_find(const struct compiler *compiler, const char *uri, size_t length);
const struct anchor *resources_find_anchor(const struct compiler *compiler, uint32_t resource,
                                           const char *name, size_t length);
// The number of the slot for a dynamic anchor's name.
uint32_t resources_slot(struct compiler *compiler, const char *name, size_t length);
// Calls `visit` with each schema that has the slot's anchor.
void resources_each_target(struct compiler *compiler, uint32_t slot, subschema_fn visit);
// Counts the targets of slots, and gives resources their bindings of those with several.
void resources_bind(struct compiler *compiler);

// What failures are told with: the URIs of all resources, kept in the schema.
void resources_keep(struct compiler *compiler);

// refs.c
// The first step: from the root on. Needs the root document to be entered.
void refs_reach(struct compiler *compiler);
// Does the reference whose key is at `key` depend on the dynamic scope?
static inline bool ref_is_dynamic(const struct compiler *compiler, uint32_t key)
{
    const struct note *note = &compiler->notes[key];

    return note->is_dynamic && compiler->slots[note->slot].n_targets > 1;
}
// in_place.c: faults for schemas that apply themselves to the same value without end, or too deep.
void in_place_check(struct compiler *compiler);

// shape.c: is the value of the keyword at `key` as it must be? Else faults are made.
bool shape_check(struct compiler *compiler, uint32_t key, enum keyword keyword);
// Kind mask of a type's name; 0: unknown.
unsigned shape_type(const char *name, size_t length);

// emit_value.c, emit_object.c, emit_apply.c: instructions for the keywords of a site.
void emit_value(struct compiler *compiler, const struct site *site);
void emit_object(struct compiler *compiler, const struct site *site);
void emit_array(struct compiler *compiler, const struct site *site);
void emit_apply(struct compiler *compiler, const struct site *site);

// evaluated.c
// Of the schema object at `token`, its own "unevaluated..." left out.
void evaluated_find(struct compiler *compiler, uint32_t token, struct evaluated *evaluated_r);
void evaluated_deinit(struct evaluated *evaluated);

// emit_unevaluated.c
// Must what the site evaluates be recorded for an "unevaluated..." of its own?
bool unevaluated_depends(const struct site *site);
// Is all that "unevaluatedProperties" of the site sees known beforehand, so that the keyword comes
// to an "additionalProperties" that knows more names? emit_object() does it then.
bool unevaluated_is_additional(const struct site *site);
// Instructions for what the site records, and for the other "unevaluated...".
void emit_unevaluated(struct compiler *compiler, const struct site *site);

// choice.c: tells the branches of a linked list apart.
void choice_make(struct compiler *compiler, struct block_list *list);

// names.c: tables. The names are copied into the arena.
void names_make_set(struct arena *arena, const struct name *names, uint32_t n,
                    struct name_set *set_r);
// Fills slots, multiplier, shift and mask of `object`; n may be 0.
void names_make_properties(struct arena *arena, const struct property *properties, uint32_t n,
                           struct object *object);

// Iterates over members of the object / elements of the array at `container`.
#define FOR_MEMBERS(tape, key, container)                                      \
    for (uint32_t key = (container) + 1; key < (tape)->tokens[container].next; \
         key = (tape)->tokens[key + 1].next)
#define FOR_ELEMENTS(tape, element, container)                                         \
    for (uint32_t element = (container) + 1; element < (tape)->tokens[container].next; \
         element = (tape)->tokens[element].next)

#endif
