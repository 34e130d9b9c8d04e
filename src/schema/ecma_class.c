// SPDX-License-Identifier: Apache-2.0
// Characters, escapes and classes of ECMA-262 patterns, and what of them a scan can do.
#include "schema/ecma_parser_priv.h"

#include "json/text.h"

#include <string.h>

// White space and line ends of \s, as ranges; and what is not.
static const char space_ranges[] =
    "\\x{9}-\\x{d}\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"
    "\\x{3000}\\x{feff}";
static const char not_space_ranges[] =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"
    "\\x{3001}-\\x{d7ff}\\x{e000}-\\x{fefe}\\x{ff00}-\\x{10ffff}";

bool ecma_fail(struct ecma_parser *parser, const char *what)
{
    status_set(parser->st, STATUS_INVALID, "%s, at offset %zu", what,
               (size_t)(parser->p - parser->start));
    return false;
}

bool ecma_put(struct ecma_parser *parser, const char *text)
{
    return buf_append_text(&parser->pattern->pcre, text) || ecma_fail(parser, "too long");
}

bool ecma_put_code_point(struct ecma_parser *parser, uint32_t c)
{
    if (c >= 0xd800 && c <= 0xdfff)
        return ecma_fail(parser, "half of a surrogate pair never matches");
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return buf_printf(&parser->pattern->pcre, "%c", (char)c) || ecma_fail(parser, "too long");
    return buf_printf(&parser->pattern->pcre, "\\x{%x}", c) || ecma_fail(parser, "too long");
}

bool ecma_at(const struct ecma_parser *parser, char c)
{
    return parser->p < parser->end && *parser->p == c;
}

bool ecma_take(struct ecma_parser *parser, const char *text)
{
    size_t length = strlen(text);

    if ((size_t)(parser->end - parser->p) < length || memcmp(parser->p, text, length) != 0)
        return false;
    parser->p += length;
    return true;
}

uint32_t ecma_take_code_point(struct ecma_parser *parser)
{
    size_t n = text_utf8_length(parser->p, (size_t)(parser->end - parser->p));
    uint32_t c = text_utf8_decode(parser->p, n);

    parser->p += n;
    return c;
}

// --- sets of a scan ------------------------------------------------------------------------------

void ecma_set_add(struct ecma_set *set, uint32_t from, uint32_t to)
{
    for (uint32_t c = from; c <= to && c < 0x80; c++)
        set->ascii[c / 64] |= UINT64_C(1) << c % 64;
    if (to >= 0x80)
        set->some_beyond = true;
}

// Adds what a class escape (one of dDwWsS) stands for.
void ecma_set_add_escape(struct ecma_set *set, char escape)
{
    struct ecma_set plain = {0};
    bool negated = escape < 'a';

    switch (escape | 0x20) {
    case 'd':
        ecma_set_add(&plain, '0', '9');
        break;
    case 'w':
        ecma_set_add(&plain, '0', '9');
        ecma_set_add(&plain, 'A', 'Z');
        ecma_set_add(&plain, 'a', 'z');
        ecma_set_add(&plain, '_', '_');
        break;
    default:
        ecma_set_add(&plain, 9, 13);
        ecma_set_add(&plain, ' ', ' ');
        set->some_beyond = true; // some are spaces, some are not
        break;
    }
    for (int i = 0; i < 2; i++)
        set->ascii[i] |= negated ? ~plain.ascii[i] : plain.ascii[i];
    if (negated)
        set->all_beyond = true;
}

static void set_negate(struct ecma_set *set)
{
    set->ascii[0] = ~set->ascii[0];
    set->ascii[1] = ~set->ascii[1];
    if (!set->some_beyond)
        set->all_beyond = !set->all_beyond;
}

// Notes an atom as the next piece of the scan.
void ecma_note_piece(struct ecma_parser *parser, const struct ecma_set *set)
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
bool ecma_scan_is_exact(const struct ecma_pattern *pattern)
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
static bool take_hex(struct ecma_parser *parser, int digits, uint32_t *value_r)
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
static bool take_unicode(struct ecma_parser *parser, uint32_t *value_r)
{
    uint32_t low;

    if (ecma_take(parser, "{")) {
        uint32_t value = 0;
        const char *first = parser->p;
        while (parser->p < parser->end && hex_value(*parser->p) >= 0) {
            value = value << 4 | (uint32_t)hex_value(*parser->p++);
            if (value > 0x10ffff)
                return ecma_fail(parser, "\\u{...} is beyond U+10FFFF");
        }
        *value_r = value;
        return (parser->p > first && ecma_take(parser, "}")) ||
               ecma_fail(parser, "\\u{ without digits or }");
    }
    if (!take_hex(parser, 4, value_r))
        return ecma_fail(parser, "\\u needs four hex digits");
    const char *behind = parser->p;
    if (*value_r >= 0xd800 && *value_r <= 0xdbff && ecma_take(parser, "\\u") &&
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
bool ecma_character_escape(struct ecma_parser *parser, uint32_t *c_r)
{
    static const char letters[] = "tnvfr";
    static const unsigned char values[] = {9, 10, 11, 12, 13};
    char c = parser->p < parser->end ? *parser->p : '\0';
    const char *letter = c != '\0' ? strchr(letters, c) : NULL;

    if (c == '\0')
        return ecma_fail(parser, "a backslash with nothing to escape");
    if (letter != NULL) {
        parser->p++;
        *c_r = values[letter - letters];
        return true;
    }
    if (ecma_take(parser, "c")) {
        char control = parser->p < parser->end ? *parser->p : '\0';
        if (!((control | 0x20) >= 'a' && (control | 0x20) <= 'z'))
            return ecma_fail(parser, "\\c needs a letter");
        parser->p++;
        *c_r = (uint32_t)control & 31;
        return true;
    }
    if (ecma_take(parser, "x"))
        return take_hex(parser, 2, c_r) || ecma_fail(parser, "\\x needs two hex digits");
    if (ecma_take(parser, "u"))
        return take_unicode(parser, c_r);
    if (ecma_take(parser, "0")) {
        *c_r = 0;
        return !(parser->p < parser->end && *parser->p >= '0' && *parser->p <= '9') ||
               ecma_fail(parser, "octal escapes are not allowed");
    }
    if (!is_punctuation(c))
        return ecma_fail(parser, "an escape that ECMA-262 does not have");
    parser->p++;
    *c_r = (uint32_t)c;
    return true;
}

// Behind the backslash: \p{...} or \P{...}.
bool ecma_property_escape(struct ecma_parser *parser)
{
    bool negated = *parser->p++ == 'P';
    const char *close =
        ecma_at(parser, '{') ? memchr(parser->p, '}', (size_t)(parser->end - parser->p)) : NULL;
    const char *name = parser->p + 1;

    if (close == NULL)
        return ecma_fail(parser, "\\p needs a property in braces");
    size_t length = (size_t)(close - name);
    if (length == 8 && memcmp(name, "Assigned", 8) == 0)
        return (parser->p = close + 1, ecma_put(parser, negated ? "\\p{Cn}" : "\\P{Cn}"));
    if (!ecma_put(parser, negated ? "\\P{" : "\\p{") ||
        !ecma_property(name, length, &parser->pattern->pcre))
        return ecma_fail(parser, "an unknown or unsupported Unicode property");
    parser->p = close + 1;
    return ecma_put(parser, "}");
}

// Behind the backslash: is it d, D, w, W, s or S?
bool ecma_at_class_escape(const struct ecma_parser *parser)
{
    return parser->p < parser->end && *parser->p != '\0' && strchr("dDwWsS", *parser->p) != NULL;
}

// Writes such an escape for use inside brackets.
bool ecma_put_class_escape(struct ecma_parser *parser, char escape)
{
    char text[3] = {'\\', escape, '\0'};

    if (escape == 's')
        return ecma_put(parser, space_ranges);
    if (escape == 'S')
        return ecma_put(parser, not_space_ranges);
    return ecma_put(parser, text);
}

// --- classes -------------------------------------------------------------------------------------

// One member of a class. *single_r: it is the code point *c_r (not yet written); else it is a set,
// written.
static bool take_class_atom(struct ecma_parser *parser, struct ecma_set *set, bool *single_r,
                            uint32_t *c_r)
{
    *single_r = true;
    if (!ecma_take(parser, "\\")) {
        *c_r = ecma_take_code_point(parser);
        return true;
    }
    if (ecma_at_class_escape(parser)) {
        *single_r = false;
        ecma_set_add_escape(set, *parser->p);
        return ecma_put_class_escape(parser, *parser->p++);
    }
    if (ecma_at(parser, 'p') || ecma_at(parser, 'P')) {
        *single_r = false;
        set->some_beyond = true;
        parser->scan = SCAN_NO;
        return ecma_property_escape(parser);
    }
    if (ecma_take(parser, "b")) {
        *c_r = 8;
        return true;
    }
    return ecma_character_escape(parser, c_r);
}

// A member or a range.
static bool take_class_range(struct ecma_parser *parser, struct ecma_set *set)
{
    bool single;
    uint32_t from, to;

    if (!take_class_atom(parser, set, &single, &from))
        return false;
    bool range = parser->end - parser->p >= 2 && parser->p[0] == '-' && parser->p[1] != ']';
    if (!range) {
        if (single)
            ecma_set_add(set, from, from);
        return !single || ecma_put_code_point(parser, from);
    }
    parser->p++;
    if (!single)
        return ecma_fail(parser, "a range that starts with a class");
    if (!ecma_put_code_point(parser, from) || !ecma_put(parser, "-"))
        return false;
    if (!take_class_atom(parser, set, &single, &to))
        return false;
    if (!single)
        return ecma_fail(parser, "a range that ends with a class");
    if (to < from)
        return ecma_fail(parser, "a range whose end comes before its start");
    ecma_set_add(set, from, to);
    return ecma_put_code_point(parser, to);
}

// Behind "[".
bool ecma_class(struct ecma_parser *parser)
{
    struct ecma_set set = {0};
    bool negated = ecma_take(parser, "^");

    if (ecma_take(parser, "]")) {
        parser->scan = SCAN_NO;
        return ecma_put(parser, negated ? "(?s:.)" : "(?!)");
    }
    if (!ecma_put(parser, negated ? "[^" : "["))
        return false;
    while (!ecma_at(parser, ']')) {
        if (parser->p == parser->end)
            return ecma_fail(parser, "a [ without its ]");
        if (!take_class_range(parser, &set))
            return false;
    }
    parser->p++;
    if (negated)
        set_negate(&set);
    ecma_note_piece(parser, &set);
    return ecma_put(parser, "]");
}
