// SPDX-License-Identifier: Apache-2.0
// Reading a tape by names, where clarity counts more than speed: answers of servers, jobs. Texts
// are the caller's to free.
#ifndef CXSINK_JSON_LOOKUP_H
#define CXSINK_JSON_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

struct tape;

// Value of the member `name` of the object at `object` (TAPE_NONE is fine), or TAPE_NONE.
uint32_t lookup_member(const struct tape *tape, uint32_t object, const char *name);
// A string unescaped, or NULL for anything else, TAPE_NONE included. It ends at a U+0000 in it.
char *lookup_text(const struct tape *tape, uint32_t value);
// Any value's JSON text; NULL for TAPE_NONE.
char *lookup_raw(const struct tape *tape, uint32_t value);
// Is it a string of exactly these characters?
bool lookup_is(const struct tape *tape, uint32_t value, const char *text);
// Its value when it is a whole number that fits, else `otherwise`.
int64_t lookup_integer(const struct tape *tape, uint32_t value, int64_t otherwise);
// Text for people out of a server's error answer: the first of error_description,
// errorDescription, message, error, code that says something, of the root or of an "error" object
// in it; NULL: there is none.
char *lookup_explanation(const struct tape *tape);

#endif
