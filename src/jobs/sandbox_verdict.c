// SPDX-License-Identifier: Apache-2.0
// The helper's answer and end, understood.
#include "jobs/sandbox_priv.h"
#include "json/lookup.h"
#include "json/tape.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static const struct {
    const char *name;
    bool final;
} results[] = {
#define SANDBOX_RESULT_ROW(identifier, name, final, sentence) \
    [SANDBOX_##identifier] = {name, final},
    SANDBOX_RESULTS(SANDBOX_RESULT_ROW)
#undef SANDBOX_RESULT_ROW
};

const char *sandbox_result_name(enum sandbox_result result)
{
    return results[result].name;
}

bool sandbox_result_final(enum sandbox_result result)
{
    return results[result].final;
}

void sandbox_conclude(struct sandbox_verdict *verdict, enum sandbox_result result,
                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    verdict->result = result;
    verdict->line = 0;
    vsnprintf(verdict->message, sizeof(verdict->message), format, args);
    va_end(args);
}

// Kinds of the helper's verdicts (src/jscheck/jscheck.h).
static bool result_of_kind(const struct tape *tape, enum sandbox_result *result_r)
{
    static const struct {
        const char *kind;
        enum sandbox_result result;
    } kinds[] = {
        {"syntax", SANDBOX_SYNTAX},     {"too_complex", SANDBOX_TOO_COMPLEX},
        {"too_large", SANDBOX_REFUSED}, {"not_utf8", SANDBOX_REFUSED},
        {"nul", SANDBOX_REFUSED},
    };
    uint32_t kind = lookup_member(tape, 0, "kind");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (lookup_is(tape, kind, kinds[i].kind)) {
            *result_r = kinds[i].result;
            return true;
        }
    }
    return false;
}

// True when answer and exit code are a verdict of the helper.
static bool read_verdict(const struct tape *tape, int exit_code, struct sandbox_verdict *verdict_r)
{
    uint32_t ok = lookup_member(tape, 0, "ok");
    if (ok == TAPE_NONE)
        return false;
    if (tape->tokens[ok].kind == TAPE_TRUE && exit_code == 0) {
        sandbox_conclude(verdict_r, SANDBOX_OK, "%s", "");
        return true;
    }
    if (tape->tokens[ok].kind != TAPE_FALSE || exit_code != 1)
        return false;
    enum sandbox_result result;
    char *message = lookup_text(tape, lookup_member(tape, 0, "message"));
    bool known = message != NULL && result_of_kind(tape, &result);
    if (known) {
        sandbox_conclude(verdict_r, result, "%s", message);
        verdict_r->line = (unsigned)lookup_integer(tape, lookup_member(tape, 0, "line"), 0);
    }
    free(message);
    return known;
}

// The first words of what was no verdict, on one line and harmless.
static void quote(const char *answer, size_t length, char *text, size_t size)
{
    size_t n = length < size - 1 ? length : size - 1;
    while (n > 0 && (answer[n - 1] == '\n' || answer[n - 1] == ' '))
        n--;
    for (size_t i = 0; i < n; i++)
        text[i] = answer[i] >= ' ' && answer[i] <= '~' ? answer[i] : '?';
    text[n] = '\0';
}

static void report_crash(int status, const char *answer, size_t length,
                         struct sandbox_verdict *verdict_r)
{
    char said[200];
    quote(answer, length, said, sizeof(said));
    bool signalled = WIFSIGNALED(status);
    sandbox_conclude(
        verdict_r, SANDBOX_CRASHED, "cxsink-jscheck gave no verdict: it ended with %s %d%s%s",
        signalled ? "signal" : "exit code", signalled ? WTERMSIG(status) : WEXITSTATUS(status),
        *said != '\0' ? " and wrote: " : "", said);
}

void sandbox_judge(int status, const char *answer, size_t length, struct sandbox_verdict *verdict_r)
{
    struct tape tape;
    tape_init(&tape, 4);
    // What only `read_verdict` may be given is a whole answer of a helper that ended by itself.
    if (!WIFEXITED(status) || !tape_parse(&tape, answer, length) ||
        !read_verdict(&tape, WEXITSTATUS(status), verdict_r))
        report_crash(status, answer, length, verdict_r);
    tape_deinit(&tape);
}
