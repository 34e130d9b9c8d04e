// SPDX-License-Identifier: Apache-2.0
// What failures say: what was expected, and what kind of value was found. Values of events never
// appear; those that the schema itself holds may.
#include "schema/validate_priv.h"

#include "json/text.h"

#include <stdio.h>
#include <string.h>

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

// The JSON text of a value of the schema, to be shown: on one line, and cut when it is long.
struct literal {
    char text[64];
};

static struct literal literal_of(const struct run *run, uint32_t token)
{
    struct literal shown;
    const size_t room = sizeof(shown.text) - 4;
    size_t length, used = 0;
    bool in_string = false;
    const char *raw = tape_raw(&run->schema->tape, token, &length);

    for (size_t i = 0, n; i < length; i += n) {
        n = raw[i] == '\\' ? 2 : text_utf8_length(raw + i, length - i);
        in_string ^= raw[i] == '"';
        if (!in_string && strchr(" \t\r\n", raw[i]) != NULL)
            continue;
        if (used + n > room) {
            memcpy(shown.text + used, "...", 4);
            return shown;
        }
        memcpy(shown.text + used, raw + i, n);
        used += n;
    }
    shown.text[used] = '\0';
    return shown;
}

// "found number"; "found another string" where a string was expected.
static const char *another(const struct run *run, uint32_t token, unsigned expected)
{
    return (expected >> run->tape->tokens[token].kind & 1) != 0 ? "another " : "";
}

static void explain_const(struct run *run, const struct instruction *in, uint32_t token)
{
    unsigned expected = 1u << run->schema->tape.tokens[in->u.word].kind;

    explain(run, token, in->place, KEYWORD_CONST, "expected %s, found %s%s",
            literal_of(run, in->u.word).text, another(run, token, expected),
            tape_kind_name((enum tape_kind)run->tape->tokens[token].kind));
}

static void explain_enum(struct run *run, const struct instruction *in, uint32_t token)
{
    const struct enumeration *set = in->u.set;
    unsigned kinds = set->other_kinds | (set->n_strings > 0 ? KIND_STRING : 0u);

    explain(run, token, in->place, KEYWORD_ENUM, "expected one of the %u values %s, found %s%s",
            set->n_strings + set->n_others, literal_of(run, in->place + 1).text,
            another(run, token, kinds),
            tape_kind_name((enum tape_kind)run->tape->tokens[token].kind));
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

// None matches, or more than one.
static void explain_one_of(struct run *run, const struct instruction *in, uint32_t token)
{
    const struct block_list *list = in->u.list;
    uint32_t count = 0, first = 0, last = 0;

    for (uint32_t i = 0; i < list->n; i++) {
        if (!probe(run, list->blocks[i], token))
            continue;
        first = count++ == 0 ? i : first;
        last = i;
    }
    if (count == 0)
        explain_branches(run, in, token, "exactly one");
    else
        explain(run, token, in->place, KEYWORD_ONE_OF,
                "expected a match of exactly one of %u schemas, found %u, /oneOf/%u and /oneOf/%u "
                "among them",
                list->n, count, first, last);
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
        explain_const(run, in, token);
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
        explain(run, token, in->place, keyword, "expected a multiple of %s",
                literal_of(run, in->u.word).text);
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
            explain(run, token, in->place, keyword, "expected a string that matches %s",
                    literal_of(run, in->place + 1).text);
        return;
    case OP_UNIQUE_ITEMS:
        explain_twins(run, in, token);
        return;
    case OP_ANY_OF:
    case OP_ANY_OF_MARKED:
        explain_branches(run, in, token, "at least one");
        return;
    case OP_ONE_OF:
    case OP_ONE_OF_MARKED:
        explain_one_of(run, in, token);
        return;
    case OP_NOT:
        explain(run, token, in->place, keyword, "expected no match of the schema of not");
        return;
    default: // those tell their failures themselves
        return;
    }
}
