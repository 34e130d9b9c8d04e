// SPDX-License-Identifier: Apache-2.0
// See ecma_priv.h. A recursive descent over the grammar that writes PCRE2's form as it goes, and
// notes on the side whether the pattern is a scan.
//
// Where the dialects differ: "." and \s have ECMA-262's sets; \d, \w and \b are ASCII in both (no
// PCRE2_UCP); a group that did not take part matches as empty (PCRE2_MATCH_UNSET_BACKREF). Groups
// are forgotten at each turn of a repetition only in ECMA-262: references that could tell are
// refused.
#include "schema/ecma_priv.h"

#include "core/mem.h"
#include "json/text.h"

#include <stdlib.h>
#include <string.h>

#define ECMA_DEPTH_MAX 100
#define ECMA_GROUPS_MAX 500
#define ECMA_REPEAT_MAX 65535 // PCRE2's own limit
#define NOWHERE UINT32_MAX

// White space and line ends of \s, as ranges; and what is not.
static const char space_ranges[] =
    "\\x{9}-\\x{d}\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"
    "\\x{3000}\\x{feff}";
static const char not_space_ranges[] =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"
    "\\x{3001}-\\x{d7ff}\\x{e000}-\\x{fefe}\\x{ff00}-\\x{10ffff}";

enum group_kind { GROUP_PLAIN, GROUP_AHEAD, GROUP_NOT_AHEAD, GROUP_BEHIND };

// A pair of parentheses, capturing or not.
struct group {
    uint32_t parent; // NOWHERE: the pattern itself
    enum group_kind kind;
    bool repeated;   // more than once
    unsigned number; // of a capturing one, from 1; else 0
    const char *name;
    size_t name_length;
};

struct reference {
    uint32_t inside; // the group it stands in
    unsigned number; // 0: by name
    const char *name;
    size_t name_length;
    size_t offset;
};

// What one atom can match, while a scan is still possible.
struct set {
    uint64_t ascii[2];
    bool all_beyond, some_beyond;
};

enum scan_state { SCAN_START, SCAN_PIECES, SCAN_END, SCAN_NO };

struct parser {
    const char *start, *p, *end;
    struct ecma_pattern *pattern;
    struct status *st;
    struct group *groups;
    uint32_t n_groups;
    struct reference *references;
    uint32_t n_references;
    unsigned n_captures;
    uint32_t inside; // the open group
    unsigned depth;
    enum scan_state scan;
};

static bool parse_alternatives(struct parser *parser);

static bool fail(struct parser *parser, const char *what)
{
    status_set(parser->st, STATUS_INVALID, "%s, at offset %zu", what,
               (size_t)(parser->p - parser->start));
    return false;
}

static bool put(struct parser *parser, const char *text)
{
    return buf_append_text(&parser->pattern->pcre, text) || fail(parser, "too long");
}

static bool put_code_point(struct parser *parser, uint32_t c)
{
    if (c >= 0xd800 && c <= 0xdfff)
        return fail(parser, "half of a surrogate pair never matches");
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return buf_printf(&parser->pattern->pcre, "%c", (char)c) || fail(parser, "too long");
    return buf_printf(&parser->pattern->pcre, "\\x{%x}", c) || fail(parser, "too long");
}

static bool at(const struct parser *parser, char c)
{
    return parser->p < parser->end && *parser->p == c;
}

static bool take(struct parser *parser, const char *text)
{
    size_t length = strlen(text);

    if ((size_t)(parser->end - parser->p) < length || memcmp(parser->p, text, length) != 0)
        return false;
    parser->p += length;
    return true;
}

static uint32_t take_code_point(struct parser *parser)
{
    size_t n = text_utf8_length(parser->p, (size_t)(parser->end - parser->p));
    const unsigned char *p = (const unsigned char *)parser->p;
    uint32_t c = n == 1 ? p[0] : (uint32_t)p[0] & (0x7fu >> n);

    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3f);
    parser->p += n;
    return c;
}

// --- sets of a scan ------------------------------------------------------------------------------

static void set_add(struct set *set, uint32_t from, uint32_t to)
{
    for (uint32_t c = from; c <= to && c < 0x80; c++)
        set->ascii[c / 64] |= UINT64_C(1) << c % 64;
    if (to >= 0x80)
        set->some_beyond = true;
}

// Adds what a class escape (one of dDwWsS) stands for.
static void set_add_escape(struct set *set, char escape)
{
    struct set plain = {0};
    bool negated = escape < 'a';

    switch (escape | 0x20) {
    case 'd':
        set_add(&plain, '0', '9');
        break;
    case 'w':
        set_add(&plain, '0', '9');
        set_add(&plain, 'A', 'Z');
        set_add(&plain, 'a', 'z');
        set_add(&plain, '_', '_');
        break;
    default:
        set_add(&plain, 9, 13);
        set_add(&plain, ' ', ' ');
        set->some_beyond = true; // some are spaces, some are not
        break;
    }
    for (int i = 0; i < 2; i++)
        set->ascii[i] |= negated ? ~plain.ascii[i] : plain.ascii[i];
    if (negated)
        set->all_beyond = true;
}

static void set_negate(struct set *set)
{
    set->ascii[0] = ~set->ascii[0];
    set->ascii[1] = ~set->ascii[1];
    if (!set->some_beyond)
        set->all_beyond = !set->all_beyond;
}

// Notes an atom as the next piece of the scan.
static void scan_piece(struct parser *parser, const struct set *set)
{
    struct ecma_pattern *pattern = parser->pattern;

    if (parser->scan != SCAN_PIECES || set->some_beyond || pattern->n_pieces == ECMA_PIECES_MAX) {
        parser->scan = SCAN_NO;
        return;
    }
    pattern->pieces[pattern->n_pieces++] = (struct ecma_piece){
        .ascii = {set->ascii[0], set->ascii[1]}, .beyond = set->all_beyond, .min = 1, .max = 1};
}

// Taking as much as possible is right when what follows, up to the first piece that must be there,
// shares no member with it.
static bool scan_is_exact(const struct ecma_pattern *pattern)
{
    for (size_t i = 0; i < pattern->n_pieces; i++) {
        const struct ecma_piece *a = &pattern->pieces[i];
        if (a->min == a->max)
            continue;
        for (size_t k = i + 1; k < pattern->n_pieces; k++) {
            const struct ecma_piece *b = &pattern->pieces[k];
            if ((a->ascii[0] & b->ascii[0]) != 0 || (a->ascii[1] & b->ascii[1]) != 0 ||
                (a->beyond && b->beyond))
                return false;
            if (b->min > 0)
                break;
        }
    }
    return true;
}

// --- escapes -------------------------------------------------------------------------------------

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

// Exactly `digits` hex digits.
static bool take_hex(struct parser *parser, int digits, uint32_t *value_r)
{
    uint32_t value = 0;

    for (int i = 0; i < digits; i++) {
        int digit = parser->p + i < parser->end ? hex_value(parser->p[i]) : -1;
        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
    }
    parser->p += digits;
    *value_r = value;
    return true;
}

// Behind "\u": four digits, a pair of them, or braces.
static bool take_unicode(struct parser *parser, uint32_t *value_r)
{
    uint32_t low;

    if (take(parser, "{")) {
        uint32_t value = 0;
        const char *first = parser->p;
        while (parser->p < parser->end && hex_value(*parser->p) >= 0) {
            value = value << 4 | (uint32_t)hex_value(*parser->p++);
            if (value > 0x10ffff)
                return fail(parser, "\\u{...} is beyond U+10FFFF");
        }
        *value_r = value;
        return (parser->p > first && take(parser, "}")) || fail(parser, "\\u{ without digits or }");
    }
    if (!take_hex(parser, 4, value_r))
        return fail(parser, "\\u needs four hex digits");
    const char *behind = parser->p;
    if (*value_r >= 0xd800 && *value_r <= 0xdbff && take(parser, "\\u") &&
        take_hex(parser, 4, &low) && low >= 0xdc00 && low <= 0xdfff)
        *value_r = 0x10000 + ((*value_r - 0xd800) << 10) + (low - 0xdc00);
    else
        parser->p = behind;
    return true;
}

static bool is_punctuation(char c)
{
    return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9') &&
           !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c != '_';
}

// Behind the backslash: an escape that stands for one code point.
static bool take_character_escape(struct parser *parser, uint32_t *c_r)
{
    static const char letters[] = "tnvfr";
    static const unsigned char values[] = {9, 10, 11, 12, 13};
    char c = parser->p < parser->end ? *parser->p : '\0';
    const char *letter = c != '\0' ? strchr(letters, c) : NULL;

    if (c == '\0')
        return fail(parser, "a backslash with nothing to escape");
    if (letter != NULL) {
        parser->p++;
        *c_r = values[letter - letters];
        return true;
    }
    if (take(parser, "c")) {
        char control = parser->p < parser->end ? *parser->p : '\0';
        if (!((control | 0x20) >= 'a' && (control | 0x20) <= 'z'))
            return fail(parser, "\\c needs a letter");
        parser->p++;
        *c_r = (uint32_t)control & 31;
        return true;
    }
    if (take(parser, "x"))
        return take_hex(parser, 2, c_r) || fail(parser, "\\x needs two hex digits");
    if (take(parser, "u"))
        return take_unicode(parser, c_r);
    if (take(parser, "0")) {
        *c_r = 0;
        return !(parser->p < parser->end && *parser->p >= '0' && *parser->p <= '9') ||
               fail(parser, "octal escapes are not allowed");
    }
    if (!is_punctuation(c))
        return fail(parser, "an escape that ECMA-262 does not have");
    parser->p++;
    *c_r = (uint32_t)c;
    return true;
}

// Behind the backslash: \p{...} or \P{...}.
static bool take_property(struct parser *parser)
{
    bool negated = *parser->p++ == 'P';
    const char *close =
        at(parser, '{') ? memchr(parser->p, '}', (size_t)(parser->end - parser->p)) : NULL;
    const char *name = parser->p + 1;

    if (close == NULL)
        return fail(parser, "\\p needs a property in braces");
    size_t length = (size_t)(close - name);
    if (length == 8 && memcmp(name, "Assigned", 8) == 0)
        return (parser->p = close + 1, put(parser, negated ? "\\p{Cn}" : "\\P{Cn}"));
    if (!put(parser, negated ? "\\P{" : "\\p{") ||
        !ecma_property(name, length, &parser->pattern->pcre))
        return fail(parser, "an unknown or unsupported Unicode property");
    parser->p = close + 1;
    return put(parser, "}");
}

// Behind the backslash: is it d, D, w, W, s or S?
static bool at_class_escape(const struct parser *parser)
{
    return parser->p < parser->end && *parser->p != '\0' && strchr("dDwWsS", *parser->p) != NULL;
}

// Writes such an escape for use inside brackets.
static bool put_class_escape(struct parser *parser, char escape)
{
    char text[3] = {'\\', escape, '\0'};

    if (escape == 's')
        return put(parser, space_ranges);
    if (escape == 'S')
        return put(parser, not_space_ranges);
    return put(parser, text);
}

// --- classes -------------------------------------------------------------------------------------

// One member of a class. *single_r: it is the code point *c_r (not yet written); else it is a set,
// written.
static bool take_class_atom(struct parser *parser, struct set *set, bool *single_r, uint32_t *c_r)
{
    *single_r = true;
    if (!take(parser, "\\")) {
        *c_r = take_code_point(parser);
        return true;
    }
    if (at_class_escape(parser)) {
        *single_r = false;
        set_add_escape(set, *parser->p);
        return put_class_escape(parser, *parser->p++);
    }
    if (at(parser, 'p') || at(parser, 'P')) {
        *single_r = false;
        set->some_beyond = true;
        parser->scan = SCAN_NO;
        return take_property(parser);
    }
    if (take(parser, "b")) {
        *c_r = 8;
        return true;
    }
    return take_character_escape(parser, c_r);
}

// A member or a range.
static bool take_class_range(struct parser *parser, struct set *set)
{
    bool single;
    uint32_t from, to;

    if (!take_class_atom(parser, set, &single, &from))
        return false;
    bool range = parser->end - parser->p >= 2 && parser->p[0] == '-' && parser->p[1] != ']';
    if (!range) {
        if (single)
            set_add(set, from, from);
        return !single || put_code_point(parser, from);
    }
    parser->p++;
    if (!single || !put_code_point(parser, from) || !put(parser, "-"))
        return fail(parser, "a range that starts with a class");
    if (!take_class_atom(parser, set, &single, &to))
        return false;
    if (!single)
        return fail(parser, "a range that ends with a class");
    if (to < from)
        return fail(parser, "a range whose end comes before its start");
    set_add(set, from, to);
    return put_code_point(parser, to);
}

// Behind "[".
static bool parse_class(struct parser *parser)
{
    struct set set = {0};
    bool negated = take(parser, "^");

    if (take(parser, "]")) {
        parser->scan = SCAN_NO;
        return put(parser, negated ? "(?s:.)" : "(?!)");
    }
    if (!put(parser, negated ? "[^" : "["))
        return false;
    while (!at(parser, ']')) {
        if (parser->p == parser->end)
            return fail(parser, "a [ without its ]");
        if (!take_class_range(parser, &set))
            return false;
    }
    parser->p++;
    if (negated)
        set_negate(&set);
    scan_piece(parser, &set);
    return put(parser, "]");
}

// --- groups --------------------------------------------------------------------------------------

// Behind "(?<": the name and its ">".
static bool take_group_name(struct parser *parser, const char **name_r, size_t *length_r)
{
    const char *close = memchr(parser->p, '>', (size_t)(parser->end - parser->p));
    const char *p = parser->p;

    if (close == NULL || close == p || (*p >= '0' && *p <= '9'))
        return fail(parser, "a group's name is missing or not closed by >");
    for (; p < close; p++)
        if (!((*p >= '0' && *p <= '9') || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') || *p == '_' ||
              *p == '$'))
            return fail(parser, "a group's name may hold ASCII letters, digits, _ and $ here");
    *name_r = parser->p;
    *length_r = (size_t)(close - parser->p);
    parser->p = close + 1;
    return true;
}

static bool name_is_taken(const struct parser *parser, const char *name, size_t length)
{
    for (uint32_t i = 0; i < parser->n_groups; i++)
        if (parser->groups[i].name_length == length && length > 0 &&
            memcmp(parser->groups[i].name, name, length) == 0)
            return true;
    return false;
}

// Behind "(": what kind it is; writes PCRE2's opening. All groups that capture are numbered there.
static bool open_group(struct parser *parser, struct group *group)
{
    if (take(parser, "?:"))
        return put(parser, "(?:");
    if (take(parser, "?="))
        return (group->kind = GROUP_AHEAD, put(parser, "(?="));
    if (take(parser, "?!"))
        return (group->kind = GROUP_NOT_AHEAD, put(parser, "(?!"));
    if (take(parser, "?<="))
        return (group->kind = GROUP_BEHIND, put(parser, "(?<="));
    if (take(parser, "?<!"))
        return (group->kind = GROUP_BEHIND, put(parser, "(?<!"));
    if (take(parser, "?<")) {
        const char *name;
        size_t length;
        if (!take_group_name(parser, &name, &length))
            return false;
        if (name_is_taken(parser, name, length))
            return fail(parser, "two groups of one name");
        group->name = name;
        group->name_length = length;
    } else if (at(parser, '?')) {
        return fail(parser, "a kind of group that ECMA-262 does not have");
    }
    group->number = ++parser->n_captures;
    return put(parser, "(");
}

// Behind "(". *group_r: its index.
static bool parse_group(struct parser *parser, uint32_t *group_r)
{
    struct group group = {.parent = parser->inside};

    parser->scan = SCAN_NO;
    if (parser->n_groups == ECMA_GROUPS_MAX || parser->depth == ECMA_DEPTH_MAX)
        return fail(parser, "too many groups");
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
    if (!take(parser, ")"))
        return fail(parser, "a ( without its )");
    return put(parser, ")");
}

// Behind the backslash: \1 or \k<name>; resolved when the whole pattern is known.
static bool parse_reference(struct parser *parser)
{
    struct reference reference = {.inside = parser->inside,
                                  .offset = (size_t)(parser->p - parser->start)};

    parser->scan = SCAN_NO;
    if (parser->n_references == ECMA_GROUPS_MAX)
        return fail(parser, "too many references");
    if (take(parser, "k")) {
        if (!take(parser, "<") || !take_group_name(parser, &reference.name, &reference.name_length))
            return fail(parser, "\\k needs a group's name in < and >");
        for (uint32_t i = 0; i < parser->n_groups; i++)
            if (parser->groups[i].name_length == reference.name_length &&
                memcmp(parser->groups[i].name, reference.name, reference.name_length) == 0)
                reference.number = parser->groups[i].number;
        if (reference.number == 0)
            return fail(parser, "a reference to a group that does not stand before it");
    } else {
        while (parser->p < parser->end && *parser->p >= '0' && *parser->p <= '9' &&
               reference.number < ECMA_GROUPS_MAX)
            reference.number = reference.number * 10 + (unsigned)(*parser->p++ - '0');
        if (reference.number > parser->n_captures)
            return fail(parser, "a reference to a group that does not stand before it");
    }
    parser->references[parser->n_references++] = reference;
    return buf_printf(&parser->pattern->pcre, "\\g{%u}", reference.number) ||
           fail(parser, "too long");
}

static bool is_inside(const struct parser *parser, uint32_t group, uint32_t outer)
{
    for (; group != NOWHERE; group = parser->groups[group].parent)
        if (group == outer)
            return true;
    return false;
}

// Does anything around `group` make its captures behave differently in PCRE2?
static bool captures_differ(const struct parser *parser, uint32_t group)
{
    for (; group != NOWHERE; group = parser->groups[group].parent)
        if (parser->groups[group].repeated || parser->groups[group].kind == GROUP_BEHIND ||
            parser->groups[group].kind == GROUP_NOT_AHEAD)
            return true;
    return false;
}

static bool check_references(struct parser *parser)
{
    for (uint32_t i = 0; i < parser->n_references; i++) {
        const struct reference *reference = &parser->references[i];
        uint32_t target = 0;
        while (parser->groups[target].number != reference->number)
            target++;
        if (is_inside(parser, reference->inside, target) ||
            captures_differ(parser, parser->groups[target].parent) ||
            captures_differ(parser, reference->inside)) {
            parser->p = parser->start + reference->offset;
            return fail(parser, "a reference within a repetition, a lookbehind, a negative "
                                "lookahead or its own group is not supported");
        }
    }
    return true;
}

// --- terms ---------------------------------------------------------------------------------------

static bool take_number(struct parser *parser, uint32_t *value_r)
{
    uint32_t value = 0;
    const char *first = parser->p;

    while (parser->p < parser->end && *parser->p >= '0' && *parser->p <= '9') {
        value = value * 10 + (uint32_t)(*parser->p++ - '0');
        if (value > ECMA_REPEAT_MAX)
            return fail(parser, "a repetition of more than 65535 times is not supported");
    }
    *value_r = value;
    return parser->p > first || fail(parser, "a { that is not a repetition must be escaped");
}

// A quantifier, if one stands here. *found_r.
static bool take_quantifier(struct parser *parser, bool *found_r, uint32_t *min_r, uint32_t *max_r)
{
    *found_r = true;
    *min_r = 0;
    *max_r = ECMA_NO_LIMIT;
    if (take(parser, "*"))
        return true;
    if (take(parser, "+"))
        return (*min_r = 1, true);
    if (take(parser, "?"))
        return (*max_r = 1, true);
    if (!take(parser, "{"))
        return (*found_r = false, true);
    if (!take_number(parser, min_r))
        return false;
    if (!take(parser, ","))
        *max_r = *min_r;
    else if (!at(parser, '}') && !take_number(parser, max_r))
        return false;
    if (!take(parser, "}"))
        return fail(parser, "a { that is not a repetition must be escaped");
    if (*max_r < *min_r)
        return fail(parser, "a repetition whose numbers are out of order");
    return true;
}

static bool put_quantifier(struct parser *parser, uint32_t min, uint32_t max, bool lazy)
{
    struct buf *out = &parser->pattern->pcre;
    bool done = max == ECMA_NO_LIMIT ? buf_printf(out, "{%u,}%s", min, lazy ? "?" : "")
                                     : buf_printf(out, "{%u,%u}%s", min, max, lazy ? "?" : "");
    return done || fail(parser, "too long");
}

// After an atom; `group` is the atom's, or NOWHERE.
static bool parse_quantifier(struct parser *parser, uint32_t group)
{
    uint32_t min, max;
    bool found;

    if (!take_quantifier(parser, &found, &min, &max) || !found)
        return !found && parser->st->code == STATUS_OK;
    if (group != NOWHERE) {
        if (parser->groups[group].kind != GROUP_PLAIN)
            return fail(parser, "a repetition of a lookaround");
        parser->groups[group].repeated = max > 1;
    }
    if (parser->scan == SCAN_PIECES) {
        parser->pattern->pieces[parser->pattern->n_pieces - 1].min = min;
        parser->pattern->pieces[parser->pattern->n_pieces - 1].max = max;
    }
    return put_quantifier(parser, min, max, take(parser, "?"));
}

// Behind a backslash that is not in a class; *assertion_r: it cannot be repeated.
static bool parse_escape(struct parser *parser, bool *assertion_r)
{
    struct set set = {0};
    uint32_t c;

    if (at(parser, 'b') || at(parser, 'B')) {
        *assertion_r = true;
        parser->scan = SCAN_NO;
        return put(parser, *parser->p++ == 'b' ? "\\b" : "\\B");
    }
    if (at(parser, 'k') || (parser->p < parser->end && *parser->p >= '1' && *parser->p <= '9'))
        return parse_reference(parser);
    if (at_class_escape(parser)) {
        set_add_escape(&set, *parser->p);
        scan_piece(parser, &set);
        return put(parser, "[") && put_class_escape(parser, *parser->p++) && put(parser, "]");
    }
    if (at(parser, 'p') || at(parser, 'P')) {
        parser->scan = SCAN_NO;
        return take_property(parser);
    }
    if (!take_character_escape(parser, &c))
        return false;
    set_add(&set, c, c);
    scan_piece(parser, &set);
    return put_code_point(parser, c);
}

static bool parse_literal(struct parser *parser)
{
    struct set set = {0};
    uint32_t c = take_code_point(parser);

    set_add(&set, c, c);
    scan_piece(parser, &set);
    return put_code_point(parser, c);
}

static bool parse_assertion(struct parser *parser)
{
    char c = *parser->p++;
    bool in_order = c == '^' ? parser->scan == SCAN_START : parser->scan == SCAN_PIECES;

    parser->scan = !in_order ? SCAN_NO : c == '^' ? SCAN_PIECES : SCAN_END;
    return put(parser, c == '^' ? "^" : "$");
}

static bool parse_term(struct parser *parser)
{
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
        return fail(parser, "a repetition of nothing");
    case '{':
    case '}':
    case ']':
        return fail(parser, "{, } and ] must be escaped where they mean themselves");
    case '(':
        parser->p++;
        done = parse_group(parser, &group);
        break;
    case '[':
        parser->p++;
        done = parse_class(parser);
        break;
    case '.':
        parser->p++;
        parser->scan = SCAN_NO;
        done = put(parser, "[^\\x{a}\\x{d}\\x{2028}\\x{2029}]");
        break;
    case '\\':
        parser->p++;
        done = parse_escape(parser, &assertion);
        break;
    default:
        done = parse_literal(parser);
        break;
    }
    return done && (assertion || parse_quantifier(parser, group));
}

static bool parse_alternatives(struct parser *parser)
{
    while (parser->p < parser->end && *parser->p != ')') {
        if (*parser->p == '|') {
            parser->p++;
            parser->scan = SCAN_NO;
            if (!put(parser, "|"))
                return false;
        } else if (!parse_term(parser)) {
            return false;
        }
    }
    return true;
}

static bool parse_pattern(struct parser *parser)
{
    if (!text_utf8_valid(parser->start, (size_t)(parser->end - parser->start)))
        return fail(parser, "not UTF-8");
    if (!parse_alternatives(parser))
        return false;
    if (parser->p < parser->end)
        return fail(parser, "a ) without its (");
    if (!check_references(parser))
        return false;
    parser->pattern->to_end = parser->scan == SCAN_END;
    parser->pattern->is_scan =
        (parser->scan == SCAN_PIECES || parser->scan == SCAN_END) && scan_is_exact(parser->pattern);
    return true;
}

enum status_code ecma_translate(const char *text, size_t length, struct ecma_pattern *pattern_r,
                                struct status *st)
{
    struct status own = {0};
    struct parser parser = {.start = text,
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
