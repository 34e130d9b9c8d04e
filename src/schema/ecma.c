// SPDX-License-Identifier: Apache-2.0
// See ecma_priv.h. A recursive descent over the grammar that writes PCRE2's form as it goes, and
// notes on the side whether the pattern is a scan.
//
// Where the dialects differ: "." and \s have ECMA-262's sets; \d, \w and \b are ASCII in both (no
// PCRE2_UCP); a group that did not take part matches as empty (PCRE2_MATCH_UNSET_BACKREF). Groups
// are forgotten at each turn of a repetition only in ECMA-262: references that could tell are
// refused.
#include "schema/ecma_parser_priv.h"

#include "core/mem.h"
#include "json/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ECMA_DEPTH_MAX 100
#define ECMA_GROUPS_MAX 500
#define ECMA_REPEAT_MAX 65535 // PCRE2's own limit
#define NOWHERE UINT32_MAX
#define UNCOUNTED_MAX 64 // repetitions that are too little to be counted as steps

static bool parse_alternatives(struct ecma_parser *parser);

// --- groups --------------------------------------------------------------------------------------

// Behind "(?<": the name and its ">".
static bool take_group_name(struct ecma_parser *parser, const char **name_r, size_t *length_r)
{
    const char *close = memchr(parser->p, '>', (size_t)(parser->end - parser->p));
    const char *p = parser->p;

    if (close == NULL || close == p || (*p >= '0' && *p <= '9'))
        return ecma_fail(parser, "a group's name is missing or not closed by >");
    for (; p < close; p++)
        if (!((*p >= '0' && *p <= '9') || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') || *p == '_' ||
              *p == '$'))
            return ecma_fail(parser, "a group's name may hold ASCII letters, digits, _ and $ here");
    *name_r = parser->p;
    *length_r = (size_t)(close - parser->p);
    parser->p = close + 1;
    return true;
}

static bool name_is_taken(const struct ecma_parser *parser, const char *name, size_t length)
{
    for (uint32_t i = 0; i < parser->n_groups; i++)
        if (parser->groups[i].name_length == length && length > 0 &&
            memcmp(parser->groups[i].name, name, length) == 0)
            return true;
    return false;
}

// Behind "(": what kind it is; writes PCRE2's opening. All groups that capture are numbered there.
static bool open_group(struct ecma_parser *parser, struct ecma_group *group)
{
    if (ecma_take(parser, "?:"))
        return ecma_put(parser, "(?:");
    if (ecma_take(parser, "?="))
        return (group->kind = GROUP_AHEAD, ecma_put(parser, "(?="));
    if (ecma_take(parser, "?!"))
        return (group->kind = GROUP_NOT_AHEAD, ecma_put(parser, "(?!"));
    if (ecma_take(parser, "?<="))
        return (group->kind = GROUP_BEHIND, ecma_put(parser, "(?<="));
    if (ecma_take(parser, "?<!"))
        return (group->kind = GROUP_BEHIND, ecma_put(parser, "(?<!"));
    if (ecma_take(parser, "?<")) {
        const char *name;
        size_t length;
        if (!take_group_name(parser, &name, &length))
            return false;
        if (name_is_taken(parser, name, length))
            return ecma_fail(parser, "two groups of one name");
        group->name = name;
        group->name_length = length;
    } else if (ecma_at(parser, '?')) {
        return ecma_fail(parser, "a kind of group that ECMA-262 does not have");
    }
    group->number = ++parser->n_captures;
    return ecma_put(parser, "(");
}

// Behind "(". *group_r: its index.
static bool parse_group(struct ecma_parser *parser, uint32_t *group_r)
{
    struct ecma_group group = {.parent = parser->inside};

    parser->scan = SCAN_NO;
    if (parser->n_groups == ECMA_GROUPS_MAX || parser->depth == ECMA_DEPTH_MAX)
        return ecma_fail(parser, "too many groups");
    if (!open_group(parser, &group))
        return false;
    *group_r = parser->n_groups;
    parser->groups[parser->n_groups++] = group;
    parser->inside = *group_r;
    parser->depth++;
    if (!parse_alternatives(parser))
        return false;
    parser->depth--;
    parser->inside = group.parent;
    if (!ecma_take(parser, ")"))
        return ecma_fail(parser, "a ( without its )");
    return ecma_put(parser, ")");
}

// Behind the backslash: \1 or \k<name>; resolved when the whole pattern is known.
static bool parse_reference(struct ecma_parser *parser)
{
    struct ecma_reference reference = {.inside = parser->inside,
                                       .offset = (size_t)(parser->p - parser->start)};

    parser->scan = SCAN_NO;
    if (parser->n_references == ECMA_GROUPS_MAX)
        return ecma_fail(parser, "too many references");
    if (ecma_take(parser, "k")) {
        if (!ecma_take(parser, "<") ||
            !take_group_name(parser, &reference.name, &reference.name_length))
            return ecma_fail(parser, "\\k needs a group's name in < and >");
        for (uint32_t i = 0; i < parser->n_groups; i++)
            if (parser->groups[i].name_length == reference.name_length &&
                memcmp(parser->groups[i].name, reference.name, reference.name_length) == 0)
                reference.number = parser->groups[i].number;
        if (reference.number == 0)
            return ecma_fail(parser, "a reference to a group that does not stand before it");
    } else {
        while (parser->p < parser->end && *parser->p >= '0' && *parser->p <= '9' &&
               reference.number < ECMA_GROUPS_MAX)
            reference.number = reference.number * 10 + (unsigned)(*parser->p++ - '0');
        if (reference.number > parser->n_captures)
            return ecma_fail(parser, "a reference to a group that does not stand before it");
    }
    parser->references[parser->n_references++] = reference;
    parser->pattern->has_references = true;
    return buf_printf(&parser->pattern->pcre, "\\g{%u}", reference.number) ||
           ecma_fail(parser, "too long");
}

static bool is_inside(const struct ecma_parser *parser, uint32_t group, uint32_t outer)
{
    for (; group != NOWHERE; group = parser->groups[group].parent)
        if (group == outer)
            return true;
    return false;
}

// Does anything around `group` make its captures behave differently in PCRE2?
static bool captures_differ(const struct ecma_parser *parser, uint32_t group)
{
    for (; group != NOWHERE; group = parser->groups[group].parent)
        if (parser->groups[group].repeated || parser->groups[group].kind == GROUP_BEHIND ||
            parser->groups[group].kind == GROUP_NOT_AHEAD)
            return true;
    return false;
}

static bool check_references(struct ecma_parser *parser)
{
    for (uint32_t i = 0; i < parser->n_references; i++) {
        const struct ecma_reference *reference = &parser->references[i];
        uint32_t target = 0;
        while (parser->groups[target].number != reference->number)
            target++;
        if (is_inside(parser, reference->inside, target) ||
            captures_differ(parser, parser->groups[target].parent) ||
            captures_differ(parser, reference->inside)) {
            parser->p = parser->start + reference->offset;
            return ecma_fail(parser, "a reference within a repetition, a lookbehind, a negative "
                                     "lookahead or its own group is not supported");
        }
    }
    return true;
}

// --- terms ---------------------------------------------------------------------------------------

static bool take_number(struct ecma_parser *parser, uint32_t *value_r)
{
    uint32_t value = 0;
    const char *first = parser->p;

    while (parser->p < parser->end && *parser->p >= '0' && *parser->p <= '9') {
        value = value * 10 + (uint32_t)(*parser->p++ - '0');
        if (value > ECMA_REPEAT_MAX)
            return ecma_fail(parser, "a repetition of more than 65535 times is not supported");
    }
    *value_r = value;
    return parser->p > first || ecma_fail(parser, "a { that is not a repetition must be escaped");
}

// A quantifier, if one stands here. *found_r.
static bool take_quantifier(struct ecma_parser *parser, bool *found_r, uint32_t *min_r,
                            uint32_t *max_r)
{
    *found_r = true;
    *min_r = 0;
    *max_r = ECMA_NO_LIMIT;
    if (ecma_take(parser, "*"))
        return true;
    if (ecma_take(parser, "+"))
        return (*min_r = 1, true);
    if (ecma_take(parser, "?"))
        return (*max_r = 1, true);
    if (!ecma_take(parser, "{"))
        return (*found_r = false, true);
    if (!take_number(parser, min_r))
        return false;
    if (!ecma_take(parser, ","))
        *max_r = *min_r;
    else if (!ecma_at(parser, '}') && !take_number(parser, max_r))
        return false;
    if (!ecma_take(parser, "}"))
        return ecma_fail(parser, "a { that is not a repetition must be escaped");
    if (*max_r < *min_r)
        return ecma_fail(parser, "a repetition whose numbers are out of order");
    return true;
}

// Writes a callout into what was written already, at `at`.
static bool insert(struct ecma_parser *parser, size_t at, const char *callout)
{
    struct buf *out = &parser->pattern->pcre;
    size_t end = out->len, length = strlen(callout);

    if (!ecma_put(parser, callout))
        return false;
    memmove(out->data + at + length, out->data + at, end - at);
    memcpy(out->data + at, callout, length);
    return true;
}

// What is repeated, written at `start`: each turn of a group is a step; many of anything else are
// told in front of it.
static bool count_turns(struct ecma_parser *parser, uint32_t group, size_t start, uint32_t min)
{
    char steps[16];

    if (group != NOWHERE)
        return !parser->groups[group].repeated ||
               insert(parser, parser->pattern->pcre.len - 1, ECMA_STEP); // inside its ")"
    if (min <= UNCOUNTED_MAX)
        return true;
    snprintf(steps, sizeof(steps), "(?C%d)", 32 - __builtin_clz(min));
    return insert(parser, start, steps);
}

static bool put_quantifier(struct ecma_parser *parser, uint32_t min, uint32_t max)
{
    struct buf *out = &parser->pattern->pcre;
    const char *lazy = ecma_take(parser, "?") ? "?" : "";
    const char *step = min != max ? ECMA_STEP : "";
    bool done = max == ECMA_NO_LIMIT ? buf_printf(out, "{%u,}%s%s", min, lazy, step)
                                     : buf_printf(out, "{%u,%u}%s%s", min, max, lazy, step);
    return done || ecma_fail(parser, "too long");
}

// After an atom, written at `start`; `group` is the atom's, or NOWHERE.
static bool parse_quantifier(struct ecma_parser *parser, uint32_t group, size_t start)
{
    uint32_t min, max;
    bool found;

    if (!take_quantifier(parser, &found, &min, &max) || !found)
        return !found && parser->st->code == STATUS_OK;
    if (group != NOWHERE) {
        if (parser->groups[group].kind != GROUP_PLAIN)
            return ecma_fail(parser, "a repetition of a lookaround");
        parser->groups[group].repeated = max > 1;
    }
    if (parser->scan == SCAN_PIECES) {
        parser->pattern->pieces[parser->pattern->n_pieces - 1].min = min;
        parser->pattern->pieces[parser->pattern->n_pieces - 1].max = max;
    }
    return count_turns(parser, group, start, min) && put_quantifier(parser, min, max);
}

// Behind a backslash that is not in a class; *assertion_r: it cannot be repeated.
static bool parse_escape(struct ecma_parser *parser, bool *assertion_r)
{
    struct ecma_set set = {0};
    uint32_t c;

    if (ecma_at(parser, 'b') || ecma_at(parser, 'B')) {
        *assertion_r = true;
        parser->scan = SCAN_NO;
        return ecma_put(parser, *parser->p++ == 'b' ? "\\b" : "\\B");
    }
    if (ecma_at(parser, 'k') || (parser->p < parser->end && *parser->p >= '1' && *parser->p <= '9'))
        return parse_reference(parser);
    if (ecma_at_class_escape(parser)) {
        ecma_set_add_escape(&set, *parser->p);
        ecma_note_piece(parser, &set);
        return ecma_put(parser, "[") && ecma_put_class_escape(parser, *parser->p++) &&
               ecma_put(parser, "]");
    }
    if (ecma_at(parser, 'p') || ecma_at(parser, 'P')) {
        parser->scan = SCAN_NO;
        return ecma_property_escape(parser);
    }
    if (!ecma_character_escape(parser, &c))
        return false;
    ecma_set_add(&set, c, c);
    ecma_note_piece(parser, &set);
    return ecma_put_code_point(parser, c);
}

static bool parse_literal(struct ecma_parser *parser)
{
    struct ecma_set set = {0};
    uint32_t c = ecma_take_code_point(parser);

    ecma_set_add(&set, c, c);
    ecma_note_piece(parser, &set);
    return ecma_put_code_point(parser, c);
}

static bool parse_assertion(struct ecma_parser *parser)
{
    char c = *parser->p++;
    bool in_order = c == '^' ? parser->scan == SCAN_START : parser->scan == SCAN_PIECES;

    parser->scan = !in_order ? SCAN_NO : c == '^' ? SCAN_PIECES : SCAN_END;
    return ecma_put(parser, c == '^' ? "^" : "$");
}

static bool parse_term(struct ecma_parser *parser)
{
    size_t start = parser->pattern->pcre.len;
    uint32_t group = NOWHERE;
    bool assertion = false;
    bool done;

    switch (*parser->p) {
    case '^':
    case '$':
        return parse_assertion(parser);
    case '*':
    case '+':
    case '?':
        return ecma_fail(parser, "a repetition of nothing");
    case '{':
    case '}':
    case ']':
        return ecma_fail(parser, "{, } and ] must be escaped where they mean themselves");
    case '(':
        parser->p++;
        done = parse_group(parser, &group);
        break;
    case '[':
        parser->p++;
        done = ecma_class(parser);
        break;
    case '.':
        parser->p++;
        parser->scan = SCAN_NO;
        done = ecma_put(parser, "[^\\x{a}\\x{d}\\x{2028}\\x{2029}]");
        break;
    case '\\':
        parser->p++;
        done = parse_escape(parser, &assertion);
        break;
    default:
        done = parse_literal(parser);
        break;
    }
    return done && (assertion || parse_quantifier(parser, group, start));
}

static bool parse_alternatives(struct ecma_parser *parser)
{
    while (parser->p < parser->end && *parser->p != ')') {
        if (*parser->p == '|') {
            parser->p++;
            parser->scan = SCAN_NO;
            if (!ecma_put(parser, "|" ECMA_STEP))
                return false;
        } else if (!parse_term(parser)) {
            return false;
        }
    }
    return true;
}

static bool parse_pattern(struct ecma_parser *parser)
{
    if (!text_utf8_valid(parser->start, (size_t)(parser->end - parser->start)))
        return ecma_fail(parser, "not UTF-8");
    if (!parse_alternatives(parser))
        return false;
    if (parser->p < parser->end)
        return ecma_fail(parser, "a ) without its (");
    if (!check_references(parser))
        return false;
    parser->pattern->to_end = parser->scan == SCAN_END;
    parser->pattern->is_scan = (parser->scan == SCAN_PIECES || parser->scan == SCAN_END) &&
                               ecma_scan_is_exact(parser->pattern);
    return true;
}

enum status_code ecma_translate(const char *text, size_t length, struct ecma_pattern *pattern_r,
                                struct status *st)
{
    struct status own = {0};
    struct ecma_parser parser = {.start = text,
                                 .p = text,
                                 .end = text + length,
                                 .pattern = pattern_r,
                                 .st = &own,
                                 .inside = NOWHERE};

    *pattern_r = (struct ecma_pattern){.pcre = {.max = 1u << 20}};
    parser.groups = mem_realloc_array(NULL, ECMA_GROUPS_MAX, sizeof(*parser.groups));
    parser.references = mem_realloc_array(NULL, ECMA_GROUPS_MAX, sizeof(*parser.references));
    parse_pattern(&parser);
    free(parser.groups);
    free(parser.references);
    return own.code == STATUS_OK ? STATUS_OK : status_set(st, own.code, "%s", own.detail);
}

void ecma_deinit(struct ecma_pattern *pattern)
{
    buf_deinit(&pattern->pcre);
}
