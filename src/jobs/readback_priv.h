// SPDX-License-Identifier: Apache-2.0
// Whether what was sent reads back. Pure.
#ifndef CXSINK_JOBS_READBACK_PRIV_H
#define CXSINK_JOBS_READBACK_PRIV_H

#include "core/buf.h"

#include <stdint.h>

struct tape;

#define READBACK_MAX 50 // differences that are told

// Every member of `sent` must be in `read` and equal: numbers by value, arrays by order. What is
// read beyond is ignored; so is "metadata" at the top when the far side tells none. Appends the
// differences, as the items of a JSON array: {"pointer", "sent", "read"}; no "read" where there is
// nothing.
void readback_compare(const struct tape *sent, const struct tape *read, struct buf *differences);
// "/a/b (sent 1, read 2), /c (sent true, read nothing)" of such an array; the caller's.
char *readback_sentence(const struct tape *tape, uint32_t differences);

#endif
