// SPDX-License-Identifier: Apache-2.0
// Describes failures: where in the value, where in the schema, and what was expected. Values of
// events never appear; names that the schema itself holds may.
#include "schema/validate_priv.h"

#include "json/pointer.h"
#include "json/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Bytes of `text` (valid UTF-8, `length` of it) that fit `room` without cutting a character.
static size_t fit(const char *text, size_t length, size_t room)
{
    if (length <= room)
        return length;
    while (room > 0 && ((unsigned char)text[room] & 0xc0) == 0x80)
        room--;
    return room;
}

static void write_pointer(const struct tape *tape, uint32_t token, char *out, size_t size)
{
    char room[4096];
    struct buf pointer = {.data = room, .cap = sizeof(room), .max = sizeof(room)};

    pointer_of(tape, token, &pointer); // false when cut, which is fine
    size_t length = fit(room, pointer.len, size - 1);
    memcpy(out, room, length);
    out[length] = '\0';
}

void explain(struct run *run, uint32_t token, uint32_t place, enum keyword keyword,
             const char *format, ...)
{
    va_list args;

    if (run->count++ >= run->max)
        return;
    struct schema_error *error = &run->errors[run->count - 1];
    char message[1024];
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    size_t length = fit(message, strlen(message), sizeof(error->message) - 1);
    memcpy(error->message, message, length);
    error->message[length] = '\0';
    error->keyword = keyword_info(keyword)->name;
    write_pointer(run->tape, token, error->instance, sizeof(error->instance));
    write_pointer(&run->schema->tape, place, error->schema, sizeof(error->schema));
}

void explain_limit(struct run *run, uint32_t token, uint32_t place)
{
    if (!run->gave_up) {
        run->gave_up = true;
        run->gave_up_token = token;
        run->gave_up_place = place;
    }
    if (!run->explain || run->limit_told)
        return;
    run->limit_told = true;
    explain(run, token, place, KEYWORD_PATTERN,
            "the pattern was given up after too many steps; make it simpler");
    if (run->count <= run->max)
        run->errors[run->count - 1].keyword = SCHEMA_PATTERN_LIMIT;
}

// "string or null"
static void list_kinds(unsigned kinds, char *text, size_t size)
{
    static const struct {
        unsigned kinds;
        const char *name;
    } names[] = {
        {KIND_NULL, "null"},       {KIND_BOOLEAN, "boolean"}, {KIND_NUMBER, "number"},
        {KIND_INTEGER, "integer"}, {KIND_STRING, "string"},   {KIND_ARRAY, "array"},
        {KIND_OBJECT, "object"},
    };
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(*names) && used < size; i++)
        if ((kinds & names[i].kinds) != 0)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? " or " : "",
                                     names[i].name);
}

static void explain_type(struct run *run, const struct instruction *in, uint32_t token)
{
    enum tape_kind kind = (enum tape_kind)run->tape->tokens[token].kind;
    bool fraction = kind == TAPE_NUMBER && (in->u.word & KIND_INTEGER) != 0;
    char kinds[96];

    list_kinds(in->u.word, kinds, sizeof(kinds));
    explain(run, token, in->place, KEYWORD_TYPE, "expected %s, found %s", kinds,
            fraction ? "a number that is not whole" : tape_kind_name(kind));
}

static void explain_enum(struct run *run, const struct instruction *in, uint32_t token)
{
    const struct enumeration *set = in->u.set;
    enum tape_kind kind = (enum tape_kind)run->tape->tokens[token].kind;

    explain(run, token, in->place, KEYWORD_ENUM,
            "expected one of the %u values of enum, found %s%s", set->n_strings + set->n_others,
            kind == TAPE_STRING && set->n_strings > 0 ? "another " : "", tape_kind_name(kind));
}

static void explain_number(struct run *run, const struct instruction *in, uint32_t token)
{
    static const char *const relations[] = {
        [OP_MINIMUM] = "at least",
        [OP_MAXIMUM] = "at most",
        [OP_EXCLUSIVE_MINIMUM] = "more than",
        [OP_EXCLUSIVE_MAXIMUM] = "less than",
    };
    int shown = in->u.bound->length > 40 ? 40 : (int)in->u.bound->length;

    explain(run, token, in->place, (enum keyword)in->keyword, "expected a number of %s %.*s",
            relations[in->op], shown, in->u.bound->text);
}

static void explain_twins(struct run *run, const struct instruction *in, uint32_t token)
{
    const struct tape_token *tokens = run->tape->tokens;
    uint32_t twins[2], index = 0, at[2] = {0, 0};

    if (!equal_find_twins(run->tape, token, run->schema->seed, &twins[0], &twins[1]))
        return;
    for (uint32_t i = token + 1; i <= twins[1]; i = tokens[i].next, index++)
        at[i == twins[1]] = i == twins[0] || i == twins[1] ? index : at[0];
    explain(run, token, in->place, KEYWORD_UNIQUE_ITEMS,
            "expected different elements, but those at %u and %u are equal", at[0], at[1]);
}

// Lengths and counts: what is counted, and how many there are.
static void explain_count(struct run *run, const struct instruction *in, uint32_t token)
{
    static const char *const relations[] = {
        [OP_MIN_LENGTH] = "at least %u characters, found %zu",
        [OP_MAX_LENGTH] = "at most %u characters, found %zu",
        [OP_MIN_PROPERTIES] = "at least %u members, found %zu",
        [OP_MAX_PROPERTIES] = "at most %u members, found %zu",
        [OP_MIN_ITEMS] = "at least %u elements, found %zu",
        [OP_MAX_ITEMS] = "at most %u elements, found %zu",
    };
    bool string = in->op == OP_MIN_LENGTH || in->op == OP_MAX_LENGTH;
    size_t found =
        string ? text_string_code_points(run->tape, token) : run->tape->tokens[token].count;
    char what[96];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(what, sizeof(what), relations[in->op], in->u.word, found);
#pragma GCC diagnostic pop
    explain(run, token, in->place, (enum keyword)in->keyword, "expected %s", what);
}

void explain_instruction(struct run *run, const struct instruction *in, uint32_t token)
{
    enum keyword keyword = (enum keyword)in->keyword;

    switch ((enum opcode)in->op) {
    case OP_FALSE:
        explain(run, token, in->place, keyword, "nothing is allowed here");
        return;
    case OP_TYPE:
        explain_type(run, in, token);
        return;
    case OP_CONST:
        explain(run, token, in->place, keyword, "expected the value of const");
        return;
    case OP_ENUM:
        explain_enum(run, in, token);
        return;
    case OP_MINIMUM:
    case OP_MAXIMUM:
    case OP_EXCLUSIVE_MINIMUM:
    case OP_EXCLUSIVE_MAXIMUM:
        explain_number(run, in, token);
        return;
    case OP_MULTIPLE_OF:
        explain(run, token, in->place, keyword, "expected a multiple of what multipleOf says");
        return;
    case OP_MIN_LENGTH:
    case OP_MAX_LENGTH:
    case OP_MIN_PROPERTIES:
    case OP_MAX_PROPERTIES:
    case OP_MIN_ITEMS:
    case OP_MAX_ITEMS:
        explain_count(run, in, token);
        return;
    case OP_FORMAT:
        explain(run, token, in->place, keyword, "expected a string of format %s",
                format_name((enum format)in->u.word));
        return;
    case OP_PATTERN:
        if (!run->limit_told) // what other patterns say is not known either
            explain(run, token, in->place, keyword, "expected a string that matches the pattern");
        return;
    case OP_UNIQUE_ITEMS:
        explain_twins(run, in, token);
        return;
    case OP_ANY_OF:
        explain(run, token, in->place, keyword, "expected a match of at least one of %u schemas",
                in->u.list->n);
        return;
    case OP_ONE_OF:
        explain(run, token, in->place, keyword, "expected a match of exactly one of %u schemas",
                in->u.list->n);
        return;
    case OP_NOT:
        explain(run, token, in->place, keyword, "expected no match of the schema of not");
        return;
    default: // those tell their failures themselves
        return;
    }
}
