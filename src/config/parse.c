// SPDX-License-Identifier: Apache-2.0
// The syntax of config/document_priv.h.
#include "config/document_priv.h"

#include "core/mem.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    char *text;
    size_t size, at;
    unsigned line;
    size_t line_start;   // offset of the line's first byte
    size_t continuation; // UTF-8 continuation bytes of the line so far: they are no columns
    unsigned depth;
    struct config_faults *faults;
};

// One fault at the present place. Always false, and so is everything above.
static bool fail(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct parser *p, const char *format, ...)
{
    char what[STATUS_DETAIL_MAX - 64];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    size_t column = p->at - p->line_start - p->continuation + 1;
    config_faults_add(p->faults, p->line, "", "column %zu: %s", column, what);
    return false;
}

// 0 at the end; a NUL in the text is told by `at_end`.
static char peek(const struct parser *p)
{
    return p->text[p->at];
}

static bool at_end(const struct parser *p)
{
    return p->at >= p->size;
}

static void advance(struct parser *p)
{
    unsigned char c = (unsigned char)p->text[p->at++];
    if (c == '\n') {
        p->line++;
        p->line_start = p->at;
        p->continuation = 0;
    } else if ((c & 0xc0) == 0x80) {
        p->continuation++;
    }
}

static bool looking_at(const struct parser *p, const char *text)
{
    size_t length = strlen(text);
    return p->size - p->at >= length && memcmp(p->text + p->at, text, length) == 0;
}

// --- spaces and comments -------------------------------------------------------------------------

static void skip_line_comment(struct parser *p)
{
    while (!at_end(p) && peek(p) != '\n')
        advance(p);
}

static bool skip_block_comment(struct parser *p)
{
    struct parser start = *p;
    p->at += 2;
    while (!at_end(p) && !looking_at(p, "*/"))
        advance(p);
    if (at_end(p))
        return fail(&start, "this comment is not closed; end it with */");
    p->at += 2;
    return true;
}

static bool skip_space(struct parser *p)
{
    for (;;) {
        if (looking_at(p, "//"))
            skip_line_comment(p);
        else if (looking_at(p, "/*")) {
            if (!skip_block_comment(p))
                return false;
        } else if (!at_end(p) && strchr(" \t\r\n", peek(p)) != NULL && peek(p) != '\0')
            advance(p);
        else
            return true;
    }
}

// --- strings -------------------------------------------------------------------------------------

// Bytes of the well-formed UTF-8 sequence here (RFC 3629 section 4), or 0.
static size_t utf8_length(const struct parser *p)
{
    const unsigned char *c = (const unsigned char *)p->text + p->at;
    size_t n = c[0] < 0x80                    ? 1
               : c[0] >= 0xc2 && c[0] <= 0xdf ? 2
               : (c[0] & 0xf0) == 0xe0        ? 3
               : c[0] >= 0xf0 && c[0] <= 0xf4 ? 4
                                              : 0;
    if (n == 0 || p->size - p->at < n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xf0 && c[1] < 0x90);
    bool surrogate = c[0] == 0xed && c[1] > 0x9f;
    bool beyond = c[0] == 0xf4 && c[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : n;
}

static size_t utf8_write(char *out, unsigned code)
{
    unsigned char *o = (unsigned char *)out;
    if (code < 0x80) {
        o[0] = (unsigned char)code;
        return 1;
    }
    if (code < 0x800) {
        o[0] = (unsigned char)(0xc0 | code >> 6);
        o[1] = (unsigned char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        o[0] = (unsigned char)(0xe0 | code >> 12);
        o[1] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
        o[2] = (unsigned char)(0x80 | (code & 0x3f));
        return 3;
    }
    o[0] = (unsigned char)(0xf0 | code >> 18);
    o[1] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
    o[2] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
    o[3] = (unsigned char)(0x80 | (code & 0x3f));
    return 4;
}

// The four digits behind "\u" at `at`; false when they are not there.
static bool hex4(const struct parser *p, size_t at, unsigned *code_r)
{
    unsigned code = 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = i < p->size ? p->text[i] : '\0';
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            digit = (unsigned)((c | 0x20) - 'a') + 10;
        else
            return false;
        code = code << 4 | digit;
    }
    *code_r = code;
    return true;
}

static bool unicode_escape(struct parser *p, char **out)
{
    unsigned code;
    unsigned low = 0;
    if (!hex4(p, p->at + 2, &code))
        return fail(p, "\\u needs four hexadecimal digits");
    size_t length = 6;
    if (code >= 0xd800 && code <= 0xdbff && p->size - p->at >= 12 && p->text[p->at + 6] == '\\' &&
        p->text[p->at + 7] == 'u' && hex4(p, p->at + 8, &low) && low >= 0xdc00 && low <= 0xdfff) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        length = 12;
    }
    if (code >= 0xd800 && code <= 0xdfff)
        return fail(p, "half of a surrogate pair; write both halves, or the character itself");
    if (code == 0)
        return fail(p, "U+0000 cannot be part of a setting");
    *out += utf8_write(*out, code);
    p->at += length;
    return true;
}

static bool simple_escape(struct parser *p, char **out)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    char c = p->at + 1 < p->size ? p->text[p->at + 1] : '\0';
    const char *found = c == '\0' ? NULL : strchr(letters, c);
    if (found == NULL)
        return fail(p, "unknown escape in a string; a backslash itself is written \\\\");
    *(*out)++ = values[found - letters];
    p->at += 2;
    return true;
}

static bool plain_characters(struct parser *p, char **out)
{
    unsigned char c = (unsigned char)peek(p);
    if (c < 0x20)
        return fail(p, "control character in a string; write it as \\u%04x", c);
    size_t n = utf8_length(p);
    if (n == 0)
        return fail(p, "not valid UTF-8; save the file as UTF-8");
    memmove(*out, p->text + p->at, n);
    *out += n;
    p->at += n;
    p->continuation += n - 1;
    return true;
}

// Decodes in place: no form is shorter than what it stands for.
static bool parse_string(struct parser *p, const char **text_r, size_t *length_r)
{
    struct parser start = *p;
    p->at++;
    char *text = p->text + p->at;
    char *out = text;
    for (;;) {
        if (at_end(p) || peek(p) == '\n')
            return fail(&start, "this string is not closed in its line");
        if (peek(p) == '"')
            break;
        bool ok = peek(p) != '\\'             ? plain_characters(p, &out)
                  : p->text[p->at + 1] == 'u' ? unicode_escape(p, &out)
                                              : simple_escape(p, &out);
        if (!ok)
            return false;
    }
    p->at++;
    *out = '\0';
    *text_r = text;
    *length_r = (size_t)(out - text);
    return true;
}

// --- other values --------------------------------------------------------------------------------

static size_t digits(const struct parser *p, size_t at)
{
    size_t n = 0;
    while (at + n < p->size && p->text[at + n] >= '0' && p->text[at + n] <= '9')
        n++;
    return n;
}

static bool parse_number(struct parser *p, struct doc_node *node)
{
    size_t at = p->at + (peek(p) == '-' ? 1 : 0);
    size_t whole = digits(p, at);
    bool ok = whole == 1 || (whole > 1 && p->text[at] != '0');
    at += whole;
    if (ok && p->text[at] == '.') {
        size_t n = digits(p, at + 1);
        ok = n > 0;
        at += 1 + n;
    }
    if (ok && (p->text[at] | 0x20) == 'e') {
        at += p->text[at + 1] == '+' || p->text[at + 1] == '-' ? 2 : 1;
        size_t n = digits(p, at);
        ok = n > 0;
        at += n;
    }
    if (!ok || isalpha((unsigned char)p->text[at]))
        return fail(p, "not a number that JSON knows; a duration or a size is a string (\"30s\")");
    node->type = DOC_NUMBER;
    node->text = p->text + p->at;
    node->length = at - p->at;
    p->at = at;
    return true;
}

static bool word_ends(const struct parser *p, size_t length)
{
    unsigned char c = (unsigned char)p->text[p->at + length];
    return strchr(",]}/ \t\r\n", c) != NULL;
}

static bool parse_word(struct parser *p, struct doc_node *node)
{
    static const struct {
        const char *word;
        enum doc_type type;
    } words[] = {{"null", DOC_NULL}, {"true", DOC_BOOLEAN}, {"false", DOC_BOOLEAN}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t length = strlen(words[i].word);
        if (looking_at(p, words[i].word) && word_ends(p, length)) {
            node->type = words[i].type;
            node->text = words[i].word;
            node->length = length;
            p->at += length;
            return true;
        }
    }
    if (at_end(p))
        return fail(p, "the file ends where a value is expected");
    if (peek(p) == '\'')
        return fail(p, "strings take double quotes");
    return fail(p, "expected a value: a string in double quotes, a number, an object, an array, "
                   "true, false or null");
}

// --- objects and arrays --------------------------------------------------------------------------

static struct doc_node *parse_value(struct parser *p);

static bool parse_name(struct parser *p, const char **name_r)
{
    size_t length;
    if (at_end(p))
        return fail(p, "the file ends within an object; is a \"}\" missing?");
    if (peek(p) != '"')
        return fail(p, "expected a member's name in double quotes");
    if (!parse_string(p, name_r, &length) || !skip_space(p))
        return false;
    if (peek(p) != ':')
        return fail(p, "expected \":\" after this member's name");
    p->at++;
    return skip_space(p);
}

static struct doc_node *parse_member(struct parser *p)
{
    const char *name;
    unsigned line = p->line;
    if (!parse_name(p, &name))
        return NULL;
    struct doc_node *node = parse_value(p);
    if (node != NULL) {
        node->name = name;
        node->name_line = line;
    }
    return node;
}

// Behind a member or an item: true to go on with the next one, false at the end or on a fault.
static bool parse_comma(struct parser *p, char close, bool *ok)
{
    *ok = skip_space(p);
    if (!*ok || peek(p) == close)
        return false;
    const char *kind = close == '}' ? "object" : "array";
    if (peek(p) != ',') {
        *ok = at_end(p) ? fail(p, "the file ends within an %s; is a \"%c\" missing?", kind, close)
                        : fail(p, "expected \",\" or \"%c\" before this", close);
        return false;
    }
    struct parser comma = *p;
    p->at++;
    *ok = skip_space(p);
    if (*ok && peek(p) == close)
        *ok = fail(&comma, "trailing comma before \"%c\"; remove it", close);
    return *ok;
}

static bool parse_children(struct parser *p, struct doc_node *node)
{
    char close = node->type == DOC_OBJECT ? '}' : ']';
    struct doc_node **tail = &node->first;
    if (p->depth >= DOCUMENT_DEPTH_MAX)
        return fail(p, "nested more than %d deep", DOCUMENT_DEPTH_MAX);
    p->depth++;
    p->at++;
    bool ok = skip_space(p);
    bool more = ok && peek(p) != close;
    while (more) {
        *tail = node->type == DOC_OBJECT ? parse_member(p) : parse_value(p);
        if (*tail == NULL)
            return false;
        tail = &(*tail)->next;
        node->count++;
        more = parse_comma(p, close, &ok);
    }
    p->at += ok;
    p->depth--;
    return ok;
}

static bool parse_into(struct parser *p, struct doc_node *node)
{
    switch (peek(p)) {
    case '{':
    case '[':
        node->type = peek(p) == '{' ? DOC_OBJECT : DOC_ARRAY;
        return parse_children(p, node);
    case '"':
        node->type = DOC_STRING;
        return parse_string(p, &node->text, &node->length);
    case '-':
    case '0' ... '9':
        return parse_number(p, node);
    default:
        return parse_word(p, node);
    }
}

static struct doc_node *parse_value(struct parser *p)
{
    struct document partial = {.root = mem_zalloc(sizeof(*partial.root))};
    partial.root->line = p->line;
    if (parse_into(p, partial.root))
        return partial.root;
    document_deinit(&partial);
    return NULL;
}

bool document_parse(struct document *doc, char *text, size_t size, struct config_faults *faults)
{
    *doc = (struct document){.text = text, .size = size};
    struct parser p = {.text = text, .size = size, .line = 1, .faults = faults};
    if (looking_at(&p, "\xef\xbb\xbf")) // a byte order mark
        p.at = p.line_start = 3;
    if (!skip_space(&p))
        return false;
    if (at_end(&p))
        return fail(&p, "the file is empty; copy the example and adapt it");
    doc->root = parse_value(&p);
    if (doc->root == NULL || !skip_space(&p))
        return false;
    return at_end(&p) || fail(&p, "expected the end of the file");
}
