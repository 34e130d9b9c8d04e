// SPDX-License-Identifier: Apache-2.0
// Base64 with padding (RFC 4648 section 4), pure.
#ifndef CXSINK_CORE_BASE64_H
#define CXSINK_CORE_BASE64_H

#include <stddef.h>

// Characters that `length` bytes become.
#define BASE64_LENGTH(length) (((length) + 2) / 3 * 4)

// Writes BASE64_LENGTH(length) characters, no NUL. Only the last piece of a text that is encoded in
// pieces may have a length that is no multiple of 3.
void base64_encode(const void *data, size_t length, char *out);

#endif
