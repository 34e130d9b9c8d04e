// SPDX-License-Identifier: Apache-2.0
// schema/ecma and schema/regex: a pattern in the first line, a text behind it. Any pattern is
// translated or refused; a match ends, and a pattern that runs as a scan says what PCRE2 says.
#include "fuzz.h"

#include "json/text.h"
#include "schema/ecma_priv.h"
#include "schema/regex_priv.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define STEPS (INT64_C(1) << 18)

// The translated pattern run by PCRE2, without our scan and without its compiled code.
static int match_plainly(const struct ecma_pattern *pattern, struct fuzz_piece text)
{
    int error;
    PCRE2_SIZE offset;
    uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)(pattern->pcre.len > 0 ? pattern->pcre.data : ""),
                                     pattern->pcre.len, options, &error, &offset, NULL);
    FUZZ_CHECK(code != NULL, "what was translated does not compile: %d at %zu", error, offset);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(context, 100000);
    int found =
        pcre2_match(code, (PCRE2_SPTR)text.data, text.size, 0, PCRE2_NO_UTF_CHECK, data, context);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return found;
}

static void check_match(const struct ecma_pattern *pattern, struct regex *regex,
                        struct fuzz_piece text)
{
    int64_t steps = STEPS, again = STEPS;
    enum regex_result result = regex_match(regex, text.data, text.size, &steps);
    FUZZ_CHECK(regex_match(regex, text.data, text.size, &again) == result && steps == again,
               "again: %lld, %lld", (long long)steps, (long long)again);
    int plain = match_plainly(pattern, text);
    if (result != REGEX_LIMIT && (plain >= 0 || plain == PCRE2_ERROR_NOMATCH))
        FUZZ_CHECK((result == REGEX_MATCH) == (plain >= 0), "%d, %d", result, plain);
    if (pattern->is_scan)
        FUZZ_CHECK(result != REGEX_LIMIT, "a scan has no limit");
}

int fuzz_one(const uint8_t *data, size_t size)
{
    struct fuzz_piece rest = {(const char *)data, size}, line = fuzz_line(&rest);
    struct ecma_pattern pattern;
    struct regex *regex = NULL;
    struct status st = {0};
    char *text = fuzz_copy(line.data, line.size), *subject = fuzz_copy(rest.data, rest.size);

    // Both come from a tape, so they are UTF-8.
    if (text_utf8_valid(text, line.size) && text_utf8_valid(subject, rest.size)) {
        bool translated = ecma_translate(text, line.size, &pattern, &st) == STATUS_OK;
        bool compiled = regex_compile(text, line.size, &regex, &st) == STATUS_OK;
        FUZZ_CHECK(!compiled || translated, "compiled, but not translated");
        FUZZ_CHECK(compiled == (regex != NULL), "%d", compiled);
        FUZZ_CHECK(compiled || st.detail[0] != '\0', "no sentence");
        if (compiled) {
            FUZZ_CHECK(regex_is_scan(regex) == pattern.is_scan, "%d", pattern.is_scan);
            check_match(&pattern, regex, (struct fuzz_piece){subject, rest.size});
        }
        regex_destroy(&regex);
        ecma_deinit(&pattern);
    }
    free(subject);
    free(text);
    return 0;
}
