// SPDX-License-Identifier: Apache-2.0
// See regex_priv.h. PCRE2's own limit counts anew at every place where a match may start, and does
// not see how far a repetition looks; so the steps are counted here, in callouts, which cost a few
// nanoseconds each.
#include "schema/regex_priv.h"

#include "core/mem.h"
#include "schema/ecma_priv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define CHOICE_STEPS 16
#define MEMORY_MAX (64u << 20)

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
    // Of the match that runs.
    int64_t left; // steps
    size_t at;    // where the last callout was
    int64_t choice_steps;
    bool has_references;
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

static int count_steps(pcre2_callout_block *block, void *data)
{
    struct regex *regex = data;
    size_t at = block->current_position;

    regex->left -=
        regex->choice_steps + (int64_t)(at > regex->at ? at - regex->at : regex->at - at);
    if (block->callout_number > 0)
        regex->left -= INT64_C(1) << block->callout_number;
    regex->at = at;
    return regex->left < 0 ? PCRE2_ERROR_CALLOUT : 0;
}

static enum status_code make_code(struct regex *regex, const struct ecma_pattern *pattern,
                                  struct status *st)
{
    uint32_t options =
        PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C;
    const struct buf *text = &pattern->pcre;
    PCRE2_UCHAR message[128];
    PCRE2_SIZE offset;
    int error;

    regex->has_references = pattern->has_references;
    regex->code = pcre2_compile((PCRE2_SPTR)(text->len == 0 ? "" : text->data), text->len, options,
                                &error, &offset, NULL);
    if (regex->code == NULL) {
        pcre2_get_error_message(error, message, sizeof(message));
        return status_set(st, STATUS_INVALID, "not supported by the regular expression library: %s",
                          (const char *)message);
    }
    regex->data = pcre2_match_data_create(1, NULL);
    regex->context = pcre2_match_context_create(NULL);
    if (regex->data == NULL || regex->context == NULL)
        return status_set(st, STATUS_INTERNAL, "out of memory");
    pcre2_set_callout(regex->context, count_steps, regex);
    pcre2_set_match_limit(regex->context, UINT32_MAX);
    pcre2_set_depth_limit(regex->context, UINT32_MAX);
    pcre2_set_heap_limit(regex->context, MEMORY_MAX / 1024);
    pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); // where that fails, it is interpreted
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
            code = make_code(regex, &translated, st);
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

static int run_code(struct regex *regex, const char *text, size_t length)
{
    regex->at = 0;
    return pcre2_match(regex->code, (PCRE2_SPTR)text, length, 0, PCRE2_NO_UTF_CHECK, regex->data,
                       regex->context);
}

// Compiled code has 32 KiB of the machine's stack, enough for most; the rest is for long texts.
static int run_with_stack(struct regex *regex, const char *text, size_t length)
{
    pcre2_jit_stack *stack = pcre2_jit_stack_create(1u << 20, MEMORY_MAX, NULL);
    int found = PCRE2_ERROR_NOMEMORY;

    if (stack != NULL) {
        pcre2_jit_stack_assign(regex->context, NULL, stack);
        found = run_code(regex, text, length);
        pcre2_jit_stack_assign(regex->context, NULL, NULL);
        pcre2_jit_stack_free(stack);
    }
    return found;
}

enum regex_result regex_match(struct regex *regex, const char *text, size_t length, int64_t *steps)
{
    if (regex->is_scan)
        return run_scan(regex, text, length) ? REGEX_MATCH : REGEX_NO_MATCH;
    regex->left = *steps;
    regex->choice_steps = CHOICE_STEPS + (regex->has_references ? (int64_t)length : 0);
    int found = run_code(regex, text, length);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
        found = run_with_stack(regex, text, length);
    *steps = regex->left;
    if (found >= 0)
        return REGEX_MATCH;
    return found == PCRE2_ERROR_NOMATCH ? REGEX_NO_MATCH : REGEX_LIMIT;
}

bool regex_is_scan(const struct regex *regex)
{
    return regex->is_scan;
}
