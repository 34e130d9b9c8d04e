// SPDX-License-Identifier: Apache-2.0
// Failures: where in the value, where in the schema, and on which way there; and which branch of
// anyOf or oneOf came closest.
#include "schema/validate_priv.h"

#include "json/pointer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Branches within branches whose failures are told; bounds the work.
#define BENEATH_MAX 4

// --- where ---------------------------------------------------------------------------------------

// Bytes of `text` (valid UTF-8, `length` of it) that fit `room` without cutting a character.
static size_t fit(const char *text, size_t length, size_t room)
{
    if (length <= room)
        return length;
    while (room > 0 && ((unsigned char)text[room] & 0xc0) == 0x80)
        room--;
    return room;
}

// Fills `out` with a pointer, cut where it is too long, but not within an escape.
static void keep_pointer(const struct buf *pointer, char *out, size_t size)
{
    size_t length = fit(pointer->data, pointer->len, size - 1);

    if (length < pointer->len && length > 0 && pointer->data[length - 1] == '~')
        length--;
    for (size_t i = 0; i < length; i++) // a name may hold a NUL, which must not end the text
        out[i] = pointer->data[i] != '\0' ? pointer->data[i] : '?';
    out[length] = '\0';
}

static void write_pointer(const struct tape *tape, uint32_t token, char *out, size_t size)
{
    char room[4096];
    struct buf pointer = {.data = room, .cap = sizeof(room), .max = sizeof(room)};

    pointer_of(tape, token, &pointer); // false when cut, which is fine
    keep_pointer(&pointer, out, size);
}

// Of a place in the schema: behind the name of its text, if that is not the root's.
static void write_place(const struct schema *schema, uint32_t place, char *out, size_t size)
{
    const struct document *document = schema_document(schema, place);
    char room[4096];
    struct buf pointer = {.data = room, .cap = sizeof(room), .max = sizeof(room)};

    if (document->name[0] != '\0')
        buf_printf(&pointer, "%.2000s#", document->name);
    pointer_of_below(&schema->tape, document->token, place, &pointer);
    keep_pointer(&pointer, out, size);
}

uint32_t block_token(const struct schema *schema, block_t block)
{
    uint32_t low = 0, high = schema->n_blocks;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (schema->block_places[middle].start <= block)
            low = middle;
        else
            high = middle;
    }
    return schema->block_places[low].token;
}

static bool is_reference(enum keyword keyword)
{
    return keyword == KEYWORD_REF || keyword == KEYWORD_DYNAMIC_REF ||
           keyword == KEYWORD_RECURSIVE_REF;
}

// Appends the way from the schema at `from` to what lies within it at `to`, nothing when it does
// not. False when `out` is full, also below.
static bool append_way(const struct run *run, uint32_t from, uint32_t to, struct buf *out)
{
    const struct tape *tape = &run->schema->tape;

    return to < from || to >= tape->tokens[from].next || pointer_of_below(tape, from, to, out);
}

// Appends the way that led to the frame, from its root, through every reference.
static bool append_frames(const struct run *run, const struct frame *frame, struct buf *out)
{
    if (frame->up == NULL)
        return true;
    if (!append_frames(run, frame->up, out))
        return false;
    const struct instruction *in = frame->up->in;
    uint32_t from = block_token(run->schema, frame->up->block);
    bool reference = is_reference((enum keyword)in->keyword);
    return append_way(run, from, reference ? in->place : block_token(run->schema, frame->block),
                      out);
}

static void write_way(const struct run *run, uint32_t place, char *out, size_t size)
{
    char room[4096];
    struct buf way = {.data = room, .cap = sizeof(room), .max = sizeof(room)};

    if (run->frame == NULL) { // behind the end
        write_place(run->schema, place, out, size);
        return;
    }
    if (append_frames(run, run->frame, &way))
        append_way(run, block_token(run->schema, run->frame->block), place, &way);
    keep_pointer(&way, out, size);
}

// --- which branch came closest -------------------------------------------------------------------

// Is the value that fails a member of the one that is judged? Its blocks were run by one of that.
static bool is_direct_member(const struct run *run, uint32_t value)
{
    const struct frame *frame = run->frame;

    while (frame != NULL && frame->token == value)
        frame = frame->up;
    return frame != NULL && frame->token == run->base && frame->in->op == OP_OBJECT;
}

// Does the failure say that the value was not meant for this branch?
static bool is_telling(const struct run *run, uint32_t token, enum keyword keyword)
{
    bool of_value = keyword == KEYWORD_CONST || keyword == KEYWORD_ENUM;

    if (token == run->base)
        return of_value || keyword == KEYWORD_TYPE || run->frame->in->op == OP_FALSE;
    return of_value && is_direct_member(run, token);
}

static void judge(struct run *run, uint32_t token, enum keyword keyword)
{
    if (run->score->failures++ == 0)
        run->score->first = token;
    run->score->telling += is_telling(run, token, keyword);
}

static struct score score_of(struct run *run, block_t branch, uint32_t token)
{
    struct score score = {0};
    struct score *outer = run->score;
    uint32_t base = run->base;

    run->score = &score;
    run->base = token;
    explain_block(run, branch, token);
    run->score = outer;
    run->base = base;
    return score;
}

static bool is_closer(const struct score *a, const struct score *b)
{
    if (a->telling != b->telling)
        return a->telling < b->telling;
    if (a->failures != b->failures)
        return a->failures < b->failures;
    return a->first > b->first;
}

// The branch that came closest to the value; BLOCK_NONE when that is not to be told here.
static uint32_t closest(struct run *run, const struct block_list *list, uint32_t token)
{
    struct score least = {0};
    uint32_t found = BLOCK_NONE;

    if (run->score != NULL || run->beneath == BENEATH_MAX || run->count >= run->max)
        return BLOCK_NONE;
    for (uint32_t i = 0; i < list->n; i++) {
        struct score score = score_of(run, list->blocks[i], token);
        if (found == BLOCK_NONE || is_closer(&score, &least)) {
            least = score;
            found = i;
        }
    }
    return found;
}

void explain_branches(struct run *run, const struct instruction *in, uint32_t token,
                      const char *how_many)
{
    const struct block_list *list = in->u.list;
    enum keyword keyword = (enum keyword)in->keyword;
    uint32_t branch = closest(run, list, token);

    if (branch == BLOCK_NONE) {
        explain(run, token, in->place, keyword, "expected a match of %s of %u schemas, found none",
                how_many, list->n);
        return;
    }
    explain(run, token, in->place, keyword,
            "expected a match of %s of %u schemas, found none; /%s/%u comes closest", how_many,
            list->n, keyword_info(keyword)->name, branch);
    run->beneath++;
    explain_block(run, list->blocks[branch], token);
    run->beneath--;
}

// --- telling -------------------------------------------------------------------------------------

// Counts a failure. What is left to fill in is its message and keyword; NULL: it is not described.
static struct schema_error *next_error(struct run *run, uint32_t token, uint32_t place)
{
    if (run->count++ >= run->max)
        return NULL;
    struct schema_error *error = &run->errors[run->count - 1];
    error->beneath = run->beneath;
    error->place = place;
    write_pointer(run->tape, token, error->instance, sizeof(error->instance));
    write_place(run->schema, place, error->schema, sizeof(error->schema));
    write_way(run, place, error->location, sizeof(error->location));
    return error;
}

void explain(struct run *run, uint32_t token, uint32_t place, enum keyword keyword,
             const char *format, ...)
{
    char message[1024];
    va_list args;

    if (run->work < 0) // nothing that fails from here on is known to
        return;
    if (run->score != NULL) {
        judge(run, token, keyword);
        return;
    }
    struct schema_error *error = next_error(run, token, place);
    if (error == NULL)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    size_t length = fit(message, strlen(message), sizeof(error->message) - 1);
    memcpy(error->message, message, length);
    error->message[length] = '\0';
    error->keyword = keyword_info(keyword)->name;
}

void explain_limit(struct run *run, uint32_t token, uint32_t place, const char *limit)
{
    if (run->gave_up == NULL) {
        run->gave_up = limit;
        run->gave_up_token = token;
        run->gave_up_place = place;
    }
    if (!run->explain || run->score != NULL || run->limit_told)
        return;
    run->limit_told = true;
    struct schema_error *error = next_error(run, token, place);
    if (error == NULL)
        return;
    error->keyword = limit;
    snprintf(error->message, sizeof(error->message),
             "%s was given up after too many steps; make it simpler",
             strcmp(limit, SCHEMA_LIMIT) == 0 ? "the schema" : "the pattern");
}
