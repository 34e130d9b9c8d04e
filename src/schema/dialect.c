// SPDX-License-Identifier: Apache-2.0
// Which keywords a resource knows: by the draft that its "$schema" names, or by the "$vocabulary"
// of the meta-schema that it names.
#include "schema/compile_priv.h"

#include "json/lookup.h"
#include "json/text.h"
#include "schema/uri_priv.h"

#include <string.h>

// Meta-schemas of meta-schemas, at most.
#define METASCHEMA_DEPTH_MAX 8

void dialect_of_draft(enum schema_draft draft, struct dialect *dialect_r)
{
    *dialect_r = (struct dialect){
        .draft = draft, .draft_bit = keyword_draft_bit(draft), .vocabularies = VOCABULARIES_ALL};
}

enum keyword dialect_keyword(const struct compiler *compiler, const struct dialect *dialect,
                             uint32_t key)
{
    enum keyword keyword = keyword_of_token(compiler->tape, key);
    bool known = keyword != KEYWORD_COUNT &&
                 keyword_is_known(keyword, dialect->draft_bit, dialect->vocabularies);

    return known ? keyword : KEYWORD_COUNT;
}

uint32_t dialect_member(const struct compiler *compiler, const struct dialect *dialect,
                        uint32_t token, enum keyword keyword)
{
    if (!keyword_is_known(keyword, dialect->draft_bit, dialect->vocabularies))
        return TAPE_NONE;
    return lookup_member(compiler->tape, token, keyword_info(keyword)->name);
}

uint32_t dialect_string(const struct compiler *compiler, const struct dialect *dialect,
                        uint32_t token, enum keyword keyword)
{
    const struct tape *tape = compiler->tape;
    uint32_t value = dialect_member(compiler, dialect, token, keyword);

    return value != TAPE_NONE && tape->tokens[value].kind == TAPE_STRING ? value : TAPE_NONE;
}

bool dialect_ref_alone(const struct compiler *compiler, const struct dialect *dialect,
                       uint32_t token)
{
    return (dialect->draft_bit & DRAFTS_TO_7) != 0 &&
           dialect_string(compiler, dialect, token, KEYWORD_REF) != TAPE_NONE;
}

// --- meta-schemas --------------------------------------------------------------------------------

// A string token of any tape as a text; "" when it is longer than `size`.
static size_t string_of(const struct tape *tape, uint32_t string, char *text, size_t size)
{
    size_t length;

    tape_string(tape, string, &length);
    return length < size ? text_unescape(tape, string, text) : 0;
}

// Takes in what one member of "$vocabulary" says. False when that vocabulary must be known, and is
// not.
static bool take_vocabulary(const char *uri, size_t length, bool required, struct dialect *dialect)
{
    enum schema_draft draft = dialect->draft;
    enum vocabulary vocabulary = metaschema_vocabulary(uri, length, &draft);

    if (vocabulary == VOCABULARY_COUNT)
        return !required;
    dialect->draft = draft;
    dialect->draft_bit = keyword_draft_bit(draft);
    dialect->vocabularies |= 1u << vocabulary;
    if (vocabulary == VOCABULARY_APPLICATOR && draft == SCHEMA_DRAFT_2019_09)
        dialect->vocabularies |= IN_UNEVALUATED;
    dialect->asserts_formats |=
        vocabulary == VOCABULARY_FORMAT_ASSERTS || (vocabulary == VOCABULARY_FORMAT && required);
    return true;
}

// Takes in what "$vocabulary" at the root of a meta-schema says, if it is there. Faults are at
// `key` of the schema.
static bool take_vocabularies(struct compiler *compiler, uint32_t key, const struct tape *tape,
                              uint32_t root, struct dialect *dialect)
{
    uint32_t object = lookup_member(tape, root, "$vocabulary");
    char text[1024];

    if (object == TAPE_NONE || tape->tokens[object].kind != TAPE_OBJECT)
        return true;
    dialect->vocabularies = IN_CORE;
    FOR_MEMBERS(tape, name, object)
    {
        size_t length = string_of(tape, name, text, sizeof(text));
        if (take_vocabulary(text, length, tape->tokens[name + 1].kind == TAPE_TRUE, dialect))
            continue;
        compiler_fault(compiler, key,
                       "the meta-schema asks for the vocabulary \"%.*s\", which is not known",
                       (int)length, text);
        return false;
    }
    return true;
}

static bool find_metaschema(struct compiler *compiler, uint32_t key, const char *uri, size_t length,
                            unsigned depth, struct dialect *dialect_r);

// The dialect that the meta-schema in `tape` defines. Faults are at `key`.
static bool read_metaschema(struct compiler *compiler, uint32_t key, const struct tape *tape,
                            unsigned depth, struct dialect *dialect_r)
{
    uint32_t schema = lookup_member(tape, 0, "$schema");
    char text[1024];

    dialect_of_draft(compiler->options->draft, dialect_r);
    if (schema != TAPE_NONE && tape->tokens[schema].kind == TAPE_STRING &&
        !find_metaschema(compiler, key, text, string_of(tape, schema, text, sizeof(text)),
                         depth + 1, dialect_r))
        return false;
    return take_vocabularies(compiler, key, tape, 0, dialect_r);
}

static bool load_metaschema(struct compiler *compiler, uint32_t key, const char *uri,
                            unsigned depth, struct dialect *dialect_r)
{
    struct schema_source source;
    struct buf made = {0};
    struct status st = {0};
    struct tape tape;
    bool found = false;

    tape_init(&tape, 0);
    if (metaschema_lookup(compiler->options, uri, &made, &source, &st) != STATUS_OK)
        compiler_fault(compiler, key,
                       "\"$schema\" names neither a draft of JSON Schema (write "
                       "\"https://json-schema.org/draft/2020-12/schema\", or 2019-09, draft-07, "
                       "draft-06, draft-04) nor a meta-schema that is known here%s%s; register "
                       "that with --ref URI=FILE, or under \"schemas\" in the configuration",
                       st.detail[0] != '\0' ? ": " : "", st.detail);
    else if (!tape_parse(&tape, source.text, source.length))
        compiler_fault(compiler, key, "the meta-schema %s is not valid JSON: %s", source.name,
                       tape.error_message);
    else
        found = read_metaschema(compiler, key, &tape, depth, dialect_r);
    tape_deinit(&tape);
    buf_deinit(&made);
    return found;
}

static bool find_metaschema(struct compiler *compiler, uint32_t key, const char *uri, size_t length,
                            unsigned depth, struct dialect *dialect_r)
{
    enum schema_draft draft;

    if (length > 0 && uri[length - 1] == '#')
        length--;
    if (metaschema_draft(uri, length, &draft)) {
        dialect_of_draft(draft, dialect_r);
        return true;
    }
    for (size_t i = 0; i < compiler->n_metaschemas; i++)
        if (compiler->metaschemas[i].length == length &&
            memcmp(compiler->metaschemas[i].uri, uri, length) == 0) {
            *dialect_r = compiler->metaschemas[i].dialect;
            return true;
        }
    if (depth > METASCHEMA_DEPTH_MAX) {
        compiler_fault(compiler, key,
                       "\"$schema\" leads from one meta-schema to another, and to "
                       "no draft of JSON Schema");
        return false;
    }
    char *name = arena_alloc(&compiler->names, length + 1, 1);
    memcpy(name, uri, length);
    if (!load_metaschema(compiler, key, name, depth, dialect_r))
        return false;
    struct metaschema *metaschema = COMPILER_PUSH(compiler, metaschemas);
    *metaschema = (struct metaschema){.uri = name, .length = length, .dialect = *dialect_r};
    return true;
}

// A meta-schema that names itself: its rules are its own.
static bool names_itself(struct compiler *compiler, uint32_t token, const char *uri, size_t length)
{
    uint32_t id = lookup_member(compiler->tape, token, "$id");
    size_t id_length;

    if (id == TAPE_NONE || compiler->tape->tokens[id].kind != TAPE_STRING)
        return false;
    const char *text = compiler_name_text(compiler, id, &id_length);
    return id_length == length && memcmp(text, uri, length) == 0;
}

bool dialect_choose(struct compiler *compiler, uint32_t token, struct dialect *dialect_r)
{
    uint32_t value = lookup_member(compiler->tape, token, "$schema");
    enum schema_draft draft;
    size_t length;

    if (value == TAPE_NONE || compiler->tape->tokens[value].kind != TAPE_STRING)
        return true;
    const char *uri = compiler_name_text(compiler, value, &length);
    if (!metaschema_draft(uri, length, &draft) && names_itself(compiler, token, uri, length)) {
        dialect_of_draft(compiler->options->draft, dialect_r);
        return take_vocabularies(compiler, value, compiler->tape, token, dialect_r);
    }
    return find_metaschema(compiler, value, uri, length, 0, dialect_r);
}
