// SPDX-License-Identifier: Apache-2.0
// Base64 as people hand it in (RFC 4648 section 4): with line ends anywhere, and its padding or
// without. Pure.
#ifndef CXSINK_JOBS_BASE64_TEXT_H
#define CXSINK_JOBS_BASE64_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What is known of a text that is looked at piece by piece. Zero: nothing was yet.
struct base64_text {
    uint64_t values; // characters that stand for bits
    size_t padding;
    size_t at; // how much was looked at; once it is bad: the first character that cannot be there
    bool bad;
};

void base64_text_add(struct base64_text *scan, const char *piece, size_t length);
// When all was added: is it whole and right? How many bytes it stands for.
bool base64_text_end(const struct base64_text *scan, uint64_t *bytes_r);
// A text in one piece. False with the offset of the first character that cannot be there; `length`
// when one is missing at the end.
bool base64_text_check(const char *text, size_t length, uint64_t *bytes_r, size_t *offset_r);
// Decodes the first `room` bytes of a text that was checked; returns how many there are.
size_t base64_text_begin(const char *text, size_t length, unsigned char *out, size_t room);

#endif
