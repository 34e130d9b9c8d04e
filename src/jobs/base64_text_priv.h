// SPDX-License-Identifier: Apache-2.0
// Base64 as people hand it in (RFC 4648 section 4): with line ends anywhere, and its padding or
// without. Pure.
#ifndef CXSINK_JOBS_BASE64_TEXT_PRIV_H
#define CXSINK_JOBS_BASE64_TEXT_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How many bytes the text stands for. False with the offset of the first character that cannot be
// there; `length` when one is missing at the end.
bool base64_text_check(const char *text, size_t length, uint64_t *bytes_r, size_t *offset_r);
// Decodes the first `room` bytes of a text that was checked; returns how many there are.
size_t base64_text_begin(const char *text, size_t length, unsigned char *out, size_t room);

#endif
