// SPDX-License-Identifier: Apache-2.0
// UUIDs (RFC 9562): version 4 from getrandom(2), version 5-like ones from a digest, text form.
#ifndef CXSINK_CORE_UUID_H
#define CXSINK_CORE_UUID_H

#include <stdbool.h>
#include <stddef.h>

#define UUID_SIZE 16
#define UUID_TEXT_SIZE 37 // with the NUL

struct uuid {
    unsigned char bytes[UUID_SIZE];
};

// A random UUID, version 4.
struct uuid uuid_random(void);
// The same UUID for the same bytes: SHA-256 cut to 128 bits, marked version 8 (RFC 9562 s. 5.8).
struct uuid uuid_from_data(const void *data, size_t length);
void uuid_format(const struct uuid *id, char text[UUID_TEXT_SIZE]);
// Accepts the 36-character form in either case; false for anything else.
bool uuid_parse(const char *text, size_t length, struct uuid *id_r);

#endif
