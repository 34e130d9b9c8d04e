// SPDX-License-Identifier: Apache-2.0
#include "core/buf.h"
#include "jscheck.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CODE_MAX ((size_t)1 << 20)

enum { EXIT_FINE = 0, EXIT_REFUSED = 1, EXIT_WRONG_USAGE = 64, EXIT_FAULT = 70 };

static const char help[] =
    "usage: cxsink-jscheck script|module <CODE\n"
    "\n"
    "Checks the syntax of JavaScript, at most 1 MiB of UTF-8, on standard input, without running\n"
    "it. cxsink starts it before it publishes a version of an action.\n"
    "Standard output, a pipe or a terminal, gets one line of JSON: {\"ok\":true}, or "
    "{\"ok\":false,\n"
    "\"kind\":...,\"line\":...,\"message\":...} with kind syntax, too_complex, too_large, "
    "not_utf8\n"
    "or nul; line only where it is known.\n"
    "Exit codes: 0 the code is fine; 1 it is not; 64 wrong usage; 70 the check could not be "
    "made.\n";

static int fault(const char *what)
{
    fprintf(stderr, "cxsink-jscheck: %s: %s\n", what, strerror(errno));
    return EXIT_FAULT;
}

// All of standard input, and one byte more than is allowed at most.
static bool read_code(struct buf *code)
{
    code->max = CODE_MAX + 2;
    for (;;) {
        char *at = buf_reserve(code, CODE_MAX + 1 - code->len);
        ssize_t n = at != NULL ? read(STDIN_FILENO, at, CODE_MAX + 1 - code->len) : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        code->len += (size_t)n;
        if (n == 0 || code->len > CODE_MAX)
            return true;
    }
}

static void check(struct syntax *syntax, struct buf *code, bool module, struct verdict *verdict_r)
{
    if (code->len <= CODE_MAX) {
        const char *text = buf_text(code);
        syntax_check(syntax, text, code->len, module, verdict_r);
        return;
    }
    *verdict_r = (struct verdict){.kind = "too_large"};
    snprintf(verdict_r->message, sizeof(verdict_r->message), "the code is larger than 1 MiB");
}

static void render(const struct verdict *verdict, struct buf *line)
{
    if (verdict->kind == NULL) {
        buf_append_text(line, "{\"ok\":true}\n");
        return;
    }
    buf_printf(line, "{\"ok\":false,\"kind\":\"%s\"", verdict->kind);
    if (verdict->line > 0)
        buf_printf(line, ",\"line\":%u", verdict->line);
    buf_append_text(line, ",\"message\":");
    buf_json_string(line, verdict->message, strlen(verdict->message));
    buf_append_text(line, "}\n");
}

static int check_input(struct syntax *syntax, bool module)
{
    struct buf code = {0};
    struct buf line = {0};
    struct verdict verdict;
    if (!read_code(&code))
        return fault("cannot read the code");
    check(syntax, &code, module, &verdict);
    render(&verdict, &line);
    // Shorter than PIPE_BUF: one write is all or nothing.
    if (write(STDOUT_FILENO, line.data, line.len) != (ssize_t)line.len)
        return fault("cannot write the verdict");
    return verdict.kind == NULL ? EXIT_FINE : EXIT_REFUSED;
}

static int run(const char *mode)
{
    if (!confine_process())
        return EXIT_FAULT;
    struct syntax *syntax = syntax_start();
    if (!confine_system_calls())
        return EXIT_FAULT;
    if (strcmp(mode, "--self-test") == 0)
        return self_test() ? EXIT_FINE : EXIT_FAULT;
    return check_input(syntax, strcmp(mode, "module") == 0);
}

int main(int argc, char **argv)
{
    const char *mode = argc == 2 ? argv[1] : "";
    if (strcmp(mode, "--help") == 0 || strcmp(mode, "-h") == 0) {
        fputs(help, stdout);
        return EXIT_FINE;
    }
    if (strcmp(mode, "--version") == 0) {
        puts("cxsink-jscheck " CXSINK_VERSION);
        return EXIT_FINE;
    }
    if (strcmp(mode, "script") != 0 && strcmp(mode, "module") != 0 &&
        strcmp(mode, "--self-test") != 0) {
        fputs(help, stderr);
        return EXIT_WRONG_USAGE;
    }
    // Without the engine's and its threads' own ends, which take time and system calls.
    _exit(run(mode));
}
