// SPDX-License-Identifier: Apache-2.0
// The reading of token answers, for auth/token. Pure.
#ifndef CXSINK_AUTH_TOKEN_ANSWER_PRIV_H
#define CXSINK_AUTH_TOKEN_ANSWER_PRIV_H

#include "core/buf.h"
#include "core/clock.h"
#include "core/status.h"

#include <stddef.h>
#include <stdint.h>

struct config_auth;

// Answers that say they live longer than this are taken at this.
#define TOKEN_LIFE_MAX_US (INT64_C(365) * 24 * 3600 * US_PER_S)

// Texts are owned; token_answer_deinit() wipes them.
struct token_answer {
    char *access_token;
    char *refresh_token;   // NULL: none
    char *scope;           // NULL: not said
    int64_t expires_in_us; // -1: not said, or not a positive number
};

// Reads a 2xx answer (RFC 6749 section 5.1; "accessToken", "refreshToken" and "expiresIn" too).
// STATUS_INVALID: not JSON, no access_token, one that cannot be sent in a header, another
// token_type than bearer.
enum status_code token_answer_parse(const char *body, size_t length, struct token_answer *answer_r,
                                    struct status *st) STATUS_MUST_CHECK;
void token_answer_deinit(struct token_answer *answer);

// What an error answer says for people: the first of error_description, errorDescription, message,
// error, code; else the first bytes. Printable, bounded, secrets replaced by "***": those of
// `config`, those of `more` (may hold NULLs) and whatever looks like a token.
void token_answer_explain(const char *body, size_t length, const struct config_auth *config,
                          const char *const more[2], struct buf *text);

// Appends the words of `wanted` that `granted` does not have, space-separated.
void token_scope_missing(const char *wanted, const char *granted, struct buf *missing);

#endif
