// SPDX-License-Identifier: Apache-2.0
// Answers of token endpoints: the token, or what to tell people.
#include "auth/token_answer_priv.h"

#include "config/load.h"
#include "core/clock.h"
#include "core/mem.h"
#include "json/lookup.h"
#include "json/number.h"
#include "json/tape.h"
#include "json/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 32
#define EXPLAIN_MAX 200 // bytes of a text for people
#define TOKEN_LIKE 24   // so long a run of token characters is taken for a secret

// --- members ---

// The first of the named members that is there and not null; `names` ends with NULL.
static uint32_t first_member(const struct tape *tape, uint32_t object, const char *const *names)
{
    for (; *names != NULL; names++) {
        uint32_t value = lookup_member(tape, object, *names);
        if (value != TAPE_NONE && tape->tokens[value].kind != TAPE_NULL)
            return value;
    }
    return TAPE_NONE;
}

// --- the token ---

// Characters that RFC 6750 section 2.1 allows, and all others that a header can carry as they are.
static bool is_sendable(const char *token)
{
    for (; *token != '\0'; token++) {
        if (*token <= ' ' || *token > '~')
            return false;
    }
    return true;
}

// A number of seconds, or one in a string, as some servers write it.
static int64_t read_life(const struct tape *tape, uint32_t root)
{
    static const char *const names[] = {"expires_in", "expiresIn", NULL};
    uint32_t value = first_member(tape, root, names);
    if (value == TAPE_NONE)
        return -1;
    double seconds = 0;
    if (tape->tokens[value].kind == TAPE_NUMBER) {
        size_t length;
        const char *raw = tape_raw(tape, value, &length);
        number_to_double(raw, length, &seconds);
    } else if (tape->tokens[value].kind == TAPE_STRING) {
        char *text = lookup_text(tape, value);
        seconds = strtod(text, NULL);
        free(text);
    }
    if (!(seconds > 0)) // also not a number
        return -1;
    double most = (double)TOKEN_LIFE_MAX_US / 1e6;
    int64_t life_us = seconds < most ? (int64_t)(seconds * 1e6) : TOKEN_LIFE_MAX_US;
    return life_us > US_PER_S ? life_us : US_PER_S; // less would fetch without a pause
}

static enum status_code check_type(const struct tape *tape, uint32_t root, struct status *st)
{
    static const char *const names[] = {"token_type", "tokenType", NULL};
    char *type = lookup_text(tape, first_member(tape, root, names));
    enum status_code code = STATUS_OK;
    if (type != NULL && type[0] != '\0' && strcasecmp(type, "bearer") != 0)
        code = status_set(st, STATUS_INVALID,
                          "the answer's token_type is not Bearer, and no other can be used");
    free(type);
    return code;
}

static enum status_code read_answer(const struct tape *tape, struct token_answer *answer,
                                    struct status *st)
{
    static const char *const access_names[] = {"access_token", "accessToken", NULL};
    static const char *const refresh_names[] = {"refresh_token", "refreshToken", NULL};
    static const char *const scope_names[] = {"scope", NULL};
    if (tape->tokens[0].kind != TAPE_OBJECT)
        return status_set(st, STATUS_INVALID, "the answer is not a JSON object; check token_url");
    answer->access_token = lookup_text(tape, first_member(tape, 0, access_names));
    if (answer->access_token == NULL || answer->access_token[0] == '\0')
        return status_set(st, STATUS_INVALID, "the answer has no access_token; check token_url");
    if (!is_sendable(answer->access_token))
        return status_set(st, STATUS_INVALID,
                          "the answer's access_token holds characters that no header can carry");
    if (check_type(tape, 0, st) != STATUS_OK)
        return STATUS_INVALID;
    answer->refresh_token = lookup_text(tape, first_member(tape, 0, refresh_names));
    if (answer->refresh_token != NULL && answer->refresh_token[0] == '\0')
        mem_wipe_free(&answer->refresh_token);
    answer->scope = lookup_text(tape, first_member(tape, 0, scope_names));
    answer->expires_in_us = read_life(tape, 0);
    return STATUS_OK;
}

enum status_code token_answer_parse(const char *body, size_t length, struct token_answer *answer_r,
                                    struct status *st)
{
    *answer_r = (struct token_answer){.expires_in_us = -1};
    struct tape tape;
    tape_init(&tape, DEPTH_MAX);
    enum status_code code = STATUS_OK;
    if (!tape_parse(&tape, body, length))
        code = status_set(st, STATUS_INVALID,
                          "the answer is not JSON (%s, at byte %zu of %zu); check token_url",
                          tape.error_message, tape.error_offset, length);
    else
        code = read_answer(&tape, answer_r, st);
    tape_deinit(&tape);
    if (code != STATUS_OK)
        token_answer_deinit(answer_r);
    return code;
}

void token_answer_deinit(struct token_answer *answer)
{
    mem_wipe_free(&answer->access_token);
    mem_wipe_free(&answer->refresh_token);
    mem_wipe_free(&answer->scope);
}

// --- what to tell people ---

static char *explanation(const char *body, size_t length)
{
    struct tape tape;
    tape_init(&tape, DEPTH_MAX);
    char *text = NULL;
    if (tape_parse(&tape, body, length))
        text = lookup_explanation(&tape);
    tape_deinit(&tape);
    return text;
}

// The next byte of percent-encoded text, in which a byte may also stand as it is.
static char decode_byte(const char **at)
{
    const char *p = *at;
    if (p[0] == '%' && isxdigit((unsigned char)p[1]) && isxdigit((unsigned char)p[2])) {
        const char hex[3] = {p[1], p[2], '\0'};
        *at += 3;
        return (char)strtoul(hex, NULL, 16);
    }
    *at += *p != '\0';
    return *p == '+' ? ' ' : *p;
}

// Length of `secret` at the start of `text`, as it is or percent-encoded (an echoed query or form);
// 0 when it is not there.
static size_t match_secret(const char *text, const char *secret)
{
    size_t length = strlen(secret);
    if (strncmp(text, secret, length) == 0)
        return length;
    const char *at = text;
    for (; *secret != '\0'; secret++) {
        bool plus = *at == '+' && *secret == '+'; // as it is, by a sloppy encoder
        if (decode_byte(&at) != *secret && !plus)
            return 0;
    }
    return (size_t)(at - text);
}

// Length of the secret that `text` starts with, or 0.
static size_t known_secret(const char *text, const char *const *secrets, size_t n)
{
    size_t longest = 0;
    for (size_t i = 0; i < n; i++) {
        size_t length = secrets[i] != NULL ? match_secret(text, secrets[i]) : 0;
        longest = length > longest ? length : longest;
    }
    return longest;
}

// Length of the run of token characters that `text` starts with, if that looks like a secret: long,
// and of both letters and digits.
static size_t token_like(const char *text)
{
    size_t length = 0, letters = 0, digits = 0;
    for (; isalnum((unsigned char)text[length]) || strchr("-_+=", text[length]) != NULL; length++) {
        if (text[length] == '\0')
            break;
        letters += isalpha((unsigned char)text[length]) != 0;
        digits += isdigit((unsigned char)text[length]) != 0;
    }
    return length >= TOKEN_LIKE && letters > 0 && digits > 0 ? length : 0;
}

// Copies one character; what is not printable or not UTF-8 becomes a space.
static size_t copy_character(const char *text, struct buf *out)
{
    size_t length = text_utf8_length(text, strlen(text));
    bool plain = length > 1 || (length == 1 && !iscntrl((unsigned char)*text));
    buf_append(out, plain ? text : " ", plain ? length : 1);
    return length > 0 ? length : 1;
}

static void redact(const char *text, const char *const *secrets, size_t n, struct buf *out)
{
    size_t start = out->len;
    bool at_start = true; // of a run of token characters
    while (*text != '\0' && out->len - start < EXPLAIN_MAX) {
        size_t secret = known_secret(text, secrets, n);
        if (secret == 0 && at_start)
            secret = token_like(text);
        if (secret > 0)
            buf_append_text(out, "***");
        at_start = !isalnum((unsigned char)*text) && strchr("-_+=", *text) == NULL;
        text += secret > 0 ? secret : copy_character(text, out);
    }
    if (*text != '\0')
        buf_append_text(out, "...");
}

void token_answer_explain(const char *body, size_t length, const struct config_auth *config,
                          const char *const more[2], struct buf *text)
{
    const char *secrets[] = {config->client_secret, config->password, config->token, more[0],
                             more[1]};
    char *found = explanation(body, length);
    if (found == NULL) // before the cut, so that a secret is not cut in two
        found = mem_strndup(body, length);
    struct buf whole = {0};
    redact(found, secrets, sizeof(secrets) / sizeof(secrets[0]), &whole);
    buf_append_text(text, whole.len > 0 ? buf_text(&whole) : "no explanation");
    buf_deinit(&whole);
    mem_wipe_free(&found);
}

// --- scope ---

static bool has_word(const char *list, const char *word, size_t length)
{
    while (*list != '\0') {
        list += strspn(list, " ");
        size_t n = strcspn(list, " ");
        if (n == length && memcmp(list, word, n) == 0)
            return true;
        list += n;
    }
    return false;
}

void token_scope_missing(const char *wanted, const char *granted, struct buf *missing)
{
    while (*wanted != '\0') {
        wanted += strspn(wanted, " ");
        size_t length = strcspn(wanted, " ");
        if (length > 0 && !has_word(granted, wanted, length)) {
            if (missing->len > 0)
                buf_append_text(missing, " ");
            buf_append(missing, wanted, length);
        }
        wanted += length;
    }
}
