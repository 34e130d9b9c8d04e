// SPDX-License-Identifier: Apache-2.0
// What tape.c and the compiled variants of the parser (parser_priv.h) share: the variants, and what
// is rare enough to be there once.
#ifndef CXSINK_JSON_PARSE_PRIV_H
#define CXSINK_JSON_PARSE_PRIV_H

#include "json/tape.h"

// Bytes before the end of a text that a variant may read: no text is shorter than that.
#define PARSE_LENGTH_MIN 32

typedef bool parse_function(struct tape *tape, const char *data, size_t length);

parse_function parse_portable;
#if defined(__x86_64__)
parse_function parse_sse42;
parse_function parse_avx2;
#elif defined(__AARCH64EL__)
parse_function parse_neon;
#endif

// Notes the error; `at` is in the text that tape->data names. Returns false.
bool parse_fail(struct tape *tape, enum tape_error error, const char *at, const char *message);
// Room for more than `n_tokens` tokens; the tape's tokens, which may have moved.
struct tape_token *parse_more_tokens(struct tape *tape, uint32_t n_tokens);
// Passes the escape at `p` of the string whose token is the next one, and adds its flags. Returns
// what is behind it; NULL on an error.
const char *parse_escape(struct tape *tape, const char *p, const char *end, unsigned *flags);

#endif
