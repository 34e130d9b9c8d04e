// SPDX-License-Identifier: Apache-2.0
// What the files of the compiler share. It works through a list of blocks (schemas yet to be
// compiled), which the emitters of one block lengthen with the schemas found in it; then links.
#ifndef CXSINK_SCHEMA_COMPILE_PRIV_H
#define CXSINK_SCHEMA_COMPILE_PRIV_H

#include "schema/compile.h"
#include "schema/keywords_priv.h"
#include "schema/program_priv.h"

#include <stdint.h>

// Schemas applied to one and the same value through one another ($ref, allOf, ...), at most: bounds
// the stack that validation needs.
#define SCHEMA_IN_PLACE_MAX 64

// A schema of the file.
struct block_job {
    uint32_t token;       // of its value
    enum keyword keyword; // that holds it
    uint32_t start;       // its first instruction, once compiled
};

// "from" applies "to" to the same value.
struct in_place {
    block_t from, to;
    uint32_t token; // of the keyword
};

struct pending_ref {
    block_t *where; // the operand to set
    block_t from;
    uint32_t token; // the key "$ref"
};

struct anchor {
    const char *name; // in the arena
    size_t length;
    uint32_t token; // of the schema
};

struct kept_fault {
    uint32_t token;
    uint32_t order;
    char *message; // owned
};

// Growable arrays; each has its count beside it.
struct compiler {
    struct schema *schema;
    const struct tape *tape; // schema->tape
    const struct schema_options *options;
    enum schema_draft draft;
    unsigned draft_bit;
    struct block_job *blocks;
    size_t n_blocks, cap_blocks;
    block_t *block_of; // by token
    block_t **fixups;  // operands that name a block by number until linked
    size_t n_fixups, cap_fixups;
    struct object **objects; // for linking
    size_t n_objects, cap_objects;
    struct in_place *in_places;
    size_t n_in_places, cap_in_places;
    struct pending_ref *refs;
    size_t n_refs, cap_refs;
    struct anchor *anchors;
    size_t n_anchors, cap_anchors;
    struct kept_fault *faults;
    size_t n_faults, cap_faults;
    size_t count_faults; // all, also those not kept
    size_t cap_regexes;
};

// The keywords of the schema object being compiled: tokens of their keys, TAPE_NONE where absent or
// of the wrong shape. The value's token is the key's plus one.
struct site {
    block_t block;
    uint32_t token;
    uint32_t key[KEYWORD_COUNT];
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
// The block of the schema at `token`, which `keyword` holds; queued when it is new.
block_t compiler_block(struct compiler *compiler, uint32_t token, enum keyword keyword);
// The same, set at *where now and as an address when linked.
void compiler_refer(struct compiler *compiler, block_t *where, uint32_t token,
                    enum keyword keyword);
// The same for a schema that applies to the same value; `key` is the keyword's.
void compiler_refer_in_place(struct compiler *compiler, block_t from, block_t *where,
                             uint32_t token, uint32_t key);
struct instruction *compiler_emit(struct compiler *compiler, const struct site *site,
                                  enum opcode op, unsigned kinds, enum keyword keyword);
// Unescaped copy of a string token in the arena, NUL-terminated.
char *compiler_text(struct compiler *compiler, uint32_t string, size_t *length_r);
struct name compiler_name(struct compiler *compiler, uint32_t string);
// NULL, and a fault at `token`, when the pattern is faulty.
struct regex *compiler_regex(struct compiler *compiler, uint32_t string, uint32_t token);

// shape.c: is the value of the keyword at `key` as it must be? Else faults are made.
bool shape_check(struct compiler *compiler, uint32_t key, enum keyword keyword);
// Kind mask of a type's name; 0: unknown.
unsigned shape_type(const char *name, size_t length);

// emit_value.c, emit_object.c, emit_apply.c: instructions for the keywords of a site.
void emit_value(struct compiler *compiler, const struct site *site);
void emit_object(struct compiler *compiler, const struct site *site);
void emit_array(struct compiler *compiler, const struct site *site);
void emit_apply(struct compiler *compiler, const struct site *site);

// names.c: tables. The names are copied into the arena.
void names_make_set(struct arena *arena, const struct name *names, uint32_t n,
                    struct name_set *set_r);
// Fills slots, multiplier, shift and mask of `object`; n may be 0.
void names_make_properties(struct arena *arena, const struct property *properties, uint32_t n,
                           struct object *object);

// refs.c
// Resolves every pending reference; may queue blocks.
void refs_resolve(struct compiler *compiler);
// Faults for schemas that apply themselves to the same value without end, or too deep.
void refs_check_in_place(struct compiler *compiler);

// Iterates over members of the object / elements of the array at `container`.
#define FOR_MEMBERS(tape, key, container)                                      \
    for (uint32_t key = (container) + 1; key < (tape)->tokens[container].next; \
         key = (tape)->tokens[key + 1].next)
#define FOR_ELEMENTS(tape, element, container)                                         \
    for (uint32_t element = (container) + 1; element < (tape)->tokens[container].next; \
         element = (tape)->tokens[element].next)

#endif
