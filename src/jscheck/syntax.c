// SPDX-License-Identifier: Apache-2.0
// JavaScriptCore as a parser.
#include "jscheck.h"
#include "json/text.h"

#include <jsc/jsc.h>
#include <stdio.h>
#include <string.h>

static void refuse(struct verdict *verdict, const char *kind, const char *message)
{
    verdict->kind = kind;
    snprintf(verdict->message, sizeof(verdict->message), "%s", message);
}

static void take_exception(JSCException *exception, struct verdict *verdict)
{
    const char *message = exception != NULL ? jsc_exception_get_message(exception) : NULL;
    refuse(verdict, "syntax", message != NULL ? message : "the code is no JavaScript");
    if (exception == NULL)
        return;
    verdict->line = jsc_exception_get_line_number(exception);
}

// Where the bytes stop to be UTF-8 without NUL; `length` when they do not.
static size_t clean_length(const char *code, size_t length)
{
    size_t at = 0;
    while (at < length && code[at] != '\0') {
        size_t n = text_utf8_length(code + at, length - at);
        if (n == 0)
            break;
        at += n;
    }
    return at;
}

static unsigned line_of(const char *code, size_t at)
{
    unsigned line = 1;
    for (size_t i = 0; i < at; i++)
        line += code[i] == '\n';
    return line;
}

static bool text_is_clean(const char *code, size_t length, struct verdict *verdict)
{
    size_t at = clean_length(code, length);
    if (at == length)
        return true;
    if (code[at] == '\0')
        refuse(verdict, "nul", "the code holds a NUL character");
    else
        refuse(verdict, "not_utf8", "the code is not valid UTF-8");
    verdict->line = line_of(code, at);
    return false;
}

void syntax_check(struct syntax *syntax, const char *code, size_t length, bool module,
                  struct verdict *verdict_r)
{
    *verdict_r = (struct verdict){0};
    if (!text_is_clean(code, length, verdict_r))
        return;
    JSCException *exception = NULL;
    JSCCheckSyntaxResult result = jsc_context_check_syntax(
        (JSCContext *)syntax, code, (gssize)length,
        module ? JSC_CHECK_SYNTAX_MODE_MODULE : JSC_CHECK_SYNTAX_MODE_SCRIPT, "code", 1,
        &exception);
    switch (result) {
    case JSC_CHECK_SYNTAX_RESULT_SUCCESS:
        return;
    case JSC_CHECK_SYNTAX_RESULT_OUT_OF_MEMORY_ERROR:
    case JSC_CHECK_SYNTAX_RESULT_STACK_OVERFLOW_ERROR:
        refuse(verdict_r, "too_complex", "the code is nested too deeply to be checked");
        return;
    case JSC_CHECK_SYNTAX_RESULT_RECOVERABLE_ERROR:
    case JSC_CHECK_SYNTAX_RESULT_IRRECOVERABLE_ERROR:
    case JSC_CHECK_SYNTAX_RESULT_UNTERMINATED_LITERAL_ERROR:
        take_exception(exception, verdict_r);
        return;
    }
    refuse(verdict_r, "syntax", "the code is no JavaScript");
}

struct syntax *syntax_start(void)
{
    struct syntax *syntax = (struct syntax *)jsc_context_new();
    // What these load and start cannot be loaded and started later.
    static const char good[] = "let a = 1;";
    static const char bad[] = "import 'a'; let let;";
    struct verdict ignored;
    syntax_check(syntax, good, sizeof(good) - 1, false, &ignored);
    syntax_check(syntax, bad, sizeof(bad) - 1, true, &ignored);
    return syntax;
}
