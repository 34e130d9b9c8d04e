// SPDX-License-Identifier: Apache-2.0
#include "payload_priv.h"

#include "core/base64.h"
#include "core/mem.h"
#include "place_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define RAW_CHUNK ((size_t)48 << 10) // whole groups of three bytes
#define CHUNK BASE64_LENGTH(RAW_CHUNK)

enum part { PART_HEAD, PART_DATA, PART_TAIL, PART_END };

struct payload {
    const struct job_op *op;
    int fd;             // -1: the payload is text
    uint64_t raw_size;  // bytes of the file
    size_t text_length; // characters of the text that count, without padding
    enum part part;
    uint64_t at; // bytes of the source that were taken
    // The piece that is given out.
    const char *piece;
    size_t piece_length;
    char *chunk;
    char *raw;
};

static bool counts(char c)
{
    return c != '\r' && c != '\n' && c != '=';
}

static enum status_code open_file(struct payload *p, struct status *st)
{
    const struct job_payload *wanted = &p->op->payload;
    p->fd = place_open(wanted->path, wanted->dir, &p->raw_size, st);
    if (p->fd < 0)
        return st->code;
    if (wanted->max_bytes > 0 && p->raw_size > wanted->max_bytes)
        return status_set(st, STATUS_INVALID, "%s has %llu bytes, more than the %llu allowed",
                          wanted->path, (unsigned long long)p->raw_size,
                          (unsigned long long)wanted->max_bytes);
    return STATUS_OK;
}

static void measure_text(struct payload *p)
{
    const char *text = p->op->payload.base64;
    p->text_length = (size_t)p->op->payload.base64_values;
    for (size_t i = 0; p->op->payload.base64_values == 0 && i < p->op->payload.base64_length; i++)
        p->text_length += counts(text[i]);
}

static bool to_start(void *owner)
{
    struct payload *p = owner;
    p->part = PART_HEAD;
    p->at = 0;
    p->piece = p->op->body.data;
    p->piece_length = p->op->body.len;
    return true;
}

struct payload *payload_open(const struct job_op *op, struct status *st)
{
    struct payload *p = mem_zalloc(sizeof(*p));
    p->op = op;
    p->fd = -1;
    p->chunk = mem_alloc(CHUNK);
    p->raw = mem_alloc(RAW_CHUNK);
    to_start(p);
    if (op->payload.type == JOB_PAYLOAD_BASE64)
        measure_text(p);
    if (op->payload.type == JOB_PAYLOAD_FILE && open_file(p, st) != STATUS_OK)
        payload_close(&p);
    return p;
}

void payload_close(struct payload **pointer)
{
    struct payload *p = *pointer;
    if (p == NULL)
        return;
    *pointer = NULL;
    if (p->fd >= 0)
        close(p->fd);
    free(p->chunk);
    free(p->raw);
    free(p);
}

// Fills the chunk from the file; false when it became shorter or cannot be read.
static bool next_of_file(struct payload *p)
{
    uint64_t left = p->raw_size - p->at;
    size_t wanted = left < RAW_CHUNK ? (size_t)left : RAW_CHUNK;
    size_t have = 0;
    while (have < wanted) {
        ssize_t n = pread(p->fd, p->raw + have, wanted - have, (off_t)(p->at + have));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        have += (size_t)n;
    }
    p->at += have;
    base64_encode(p->raw, have, p->chunk);
    p->piece_length = BASE64_LENGTH(have);
    return true;
}

static bool next_of_text(struct payload *p)
{
    const char *text = p->op->payload.base64;
    size_t n = 0;
    for (; n < CHUNK - 3 && p->at < p->op->payload.base64_length; p->at++) {
        if (counts(text[p->at]))
            p->chunk[n++] = text[p->at];
    }
    if (p->at == p->op->payload.base64_length) {
        for (size_t missing = (4 - p->text_length % 4) % 4; missing > 0; missing--)
            p->chunk[n++] = '=';
    }
    p->piece_length = n;
    return true;
}

static bool data_left(const struct payload *p)
{
    return p->fd >= 0 ? p->at < p->raw_size : p->at < p->op->payload.base64_length;
}

// Makes the next piece, which may be empty. False when the source fails.
static bool next_piece(struct payload *p)
{
    if (p->part == PART_HEAD)
        p->part = PART_DATA;
    if (p->part == PART_DATA && data_left(p)) {
        p->piece = p->chunk;
        return p->fd >= 0 ? next_of_file(p) : next_of_text(p);
    }
    p->piece = p->op->body_tail.data;
    p->piece_length = p->part == PART_DATA ? p->op->body_tail.len : 0;
    p->part = p->part == PART_DATA ? PART_TAIL : PART_END;
    return true;
}

static size_t give(void *owner, char *buffer, size_t size)
{
    struct payload *p = owner;
    while (p->piece_length == 0) {
        if (p->part == PART_END)
            return 0;
        if (!next_piece(p))
            return HTTP_READ_FAILED;
    }
    size_t n = p->piece_length < size ? p->piece_length : size;
    memcpy(buffer, p->piece, n);
    p->piece += n;
    p->piece_length -= n;
    return n;
}

struct http_source payload_source(struct payload *p)
{
    uint64_t data = p->fd >= 0 ? BASE64_LENGTH(p->raw_size) : (p->text_length + 3) / 4 * 4;
    return (struct http_source){.read = give,
                                .rewind = to_start,
                                .owner = p,
                                .length = p->op->body.len + data + p->op->body_tail.len};
}

bool payload_write(struct payload *p, struct buf *out)
{
    to_start(p);
    for (;;) {
        char *at = buf_reserve(out, CHUNK);
        size_t n = at != NULL ? give(p, at, CHUNK) : HTTP_READ_FAILED;
        if (n == HTTP_READ_FAILED || n == 0)
            return n == 0;
        out->len += n;
    }
}
