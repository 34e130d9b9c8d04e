// SPDX-License-Identifier: Apache-2.0
// See regex_priv.h. Limits keep one text from holding the event loop: about a million steps (a few
// ten milliseconds), 1 MiB of stack for compiled code, 16 MiB for the interpreter.
#include "schema/regex_priv.h"

#include "core/mem.h"
#include "schema/ecma_priv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define REGEX_MATCH_LIMIT 1000000
#define REGEX_HEAP_LIMIT_KIB (16 * 1024)
#define REGEX_JIT_STACK_MIN (32 * 1024)
#define REGEX_JIT_STACK_MAX (1024 * 1024)

// A piece of a scan, ready to run.
struct step {
    uint32_t min, max;
    bool beyond;      // members may be longer than a byte
    bool member[256]; // by first byte; of a set with `beyond` all bytes from 0x80 on
};

struct regex {
    bool is_scan;
    bool to_end;
    size_t n_steps;
    struct step *steps;
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static void make_steps(struct regex *regex, const struct ecma_pattern *pattern)
{
    regex->is_scan = true;
    regex->to_end = pattern->to_end;
    regex->n_steps = pattern->n_pieces;
    regex->steps = mem_realloc_array(NULL, pattern->n_pieces + 1, sizeof(*regex->steps));
    for (size_t i = 0; i < pattern->n_pieces; i++) {
        const struct ecma_piece *piece = &pattern->pieces[i];
        struct step *step = &regex->steps[i];
        step->min = piece->min;
        step->max = piece->max;
        step->beyond = piece->beyond;
        for (unsigned c = 0; c < 256; c++)
            step->member[c] = c < 0x80 ? (piece->ascii[c / 64] >> c % 64 & 1) != 0 : piece->beyond;
    }
}

static enum status_code make_code(struct regex *regex, const struct buf *pattern, struct status *st)
{
    uint32_t options =
        PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C;
    PCRE2_UCHAR message[128];
    PCRE2_SIZE offset;
    int error;

    regex->code = pcre2_compile((PCRE2_SPTR)(pattern->len == 0 ? "" : pattern->data), pattern->len,
                                options, &error, &offset, NULL);
    if (regex->code == NULL) {
        pcre2_get_error_message(error, message, sizeof(message));
        return status_set(st, STATUS_INVALID, "not supported by the regular expression library: %s",
                          (const char *)message);
    }
    regex->data = pcre2_match_data_create(1, NULL);
    regex->context = pcre2_match_context_create(NULL);
    if (regex->data == NULL || regex->context == NULL)
        return status_set(st, STATUS_INTERNAL, "out of memory");
    pcre2_set_match_limit(regex->context, REGEX_MATCH_LIMIT);
    pcre2_set_heap_limit(regex->context, REGEX_HEAP_LIMIT_KIB);
    if (pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0) {
        regex->stack = pcre2_jit_stack_create(REGEX_JIT_STACK_MIN, REGEX_JIT_STACK_MAX, NULL);
        if (regex->stack != NULL)
            pcre2_jit_stack_assign(regex->context, NULL, regex->stack);
    }
    return STATUS_OK;
}

enum status_code regex_compile(const char *pattern, size_t length, struct regex **regex_r,
                               struct status *st)
{
    struct ecma_pattern translated;
    struct regex *regex;

    *regex_r = NULL;
    enum status_code code = ecma_translate(pattern, length, &translated, st);
    if (code == STATUS_OK) {
        regex = mem_zalloc(sizeof(*regex));
        if (translated.is_scan)
            make_steps(regex, &translated);
        else
            code = make_code(regex, &translated.pcre, st);
        if (code != STATUS_OK)
            regex_destroy(&regex);
        *regex_r = regex;
    }
    ecma_deinit(&translated);
    return code;
}

void regex_destroy(struct regex **regex)
{
    if (*regex == NULL)
        return;
    pcre2_jit_stack_free((*regex)->stack);
    pcre2_match_context_free((*regex)->context);
    pcre2_match_data_free((*regex)->data);
    pcre2_code_free((*regex)->code);
    free((*regex)->steps);
    free(*regex);
    *regex = NULL;
}

// Takes as many members as it can, at most step->max; false when they are fewer than step->min.
static bool run_step(const struct step *step, const unsigned char **p_r, const unsigned char *end)
{
    const unsigned char *p = *p_r;
    size_t taken = 0;

    if (!step->beyond) {
        size_t room = (size_t)(end - p) < step->max ? (size_t)(end - p) : step->max;
        while (taken < room && step->member[p[taken]])
            taken++;
        *p_r = p + taken;
        return taken >= step->min;
    }
    while (p < end && step->member[*p]) {
        if ((*p & 0xc0) != 0x80 && taken++ == step->max) {
            taken--;
            break;
        }
        p++;
    }
    *p_r = p;
    return taken >= step->min;
}

static bool run_scan(const struct regex *regex, const char *text, size_t length)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned char *end = p + length;

    for (size_t i = 0; i < regex->n_steps; i++)
        if (!run_step(&regex->steps[i], &p, end))
            return false;
    return !regex->to_end || p == end;
}

enum regex_result regex_match(struct regex *regex, const char *text, size_t length)
{
    if (regex->is_scan)
        return run_scan(regex, text, length) ? REGEX_MATCH : REGEX_NO_MATCH;
    int found = pcre2_match(regex->code, (PCRE2_SPTR)text, length, 0, PCRE2_NO_UTF_CHECK,
                            regex->data, regex->context);
    if (found >= 0)
        return REGEX_MATCH;
    return found == PCRE2_ERROR_NOMATCH ? REGEX_NO_MATCH : REGEX_LIMIT;
}

bool regex_is_scan(const struct regex *regex)
{
    return regex->is_scan;
}
