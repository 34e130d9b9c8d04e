// SPDX-License-Identifier: Apache-2.0
#include "cli/common.h"

#include "app/daemon.h"
#include "core/buf.h"
#include "json/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *cli_config_path(const char *given)
{
    const char *env = getenv("CXSINK_CONFIG");
    if (given != NULL)
        return given;
    return env != NULL && env[0] != '\0' ? env : "/etc/cxsink/cxsink.json";
}

static void print_json(const char *path, const struct config_faults *faults)
{
    struct buf out = {0};
    buf_append_text(&out, "[");
    for (size_t i = 0; i < faults->count; i++) {
        const struct config_fault *f = &faults->items[i];
        buf_append_text(&out, i > 0 ? ",{\"file\":" : "{\"file\":");
        buf_json_string(&out, path, strlen(path));
        buf_printf(&out, ",\"line\":%u,\"pointer\":", f->line);
        buf_json_string(&out, f->pointer, strlen(f->pointer));
        buf_append_text(&out, ",\"message\":");
        buf_json_string(&out, f->message, strlen(f->message));
        buf_printf(&out, ",\"severity\":\"%s\"", f->warning ? "warning" : "fault");
        if (f->sql != NULL) {
            buf_append_text(&out, ",\"sql\":");
            buf_json_string(&out, f->sql, strlen(f->sql));
        }
        buf_append_text(&out, "}");
    }
    printf("%s]\n", buf_text(&out));
    buf_deinit(&out);
}

void cli_print_faults(const char *path, const struct config_faults *faults, bool json)
{
    if (json) {
        print_json(path, faults);
        return;
    }
    for (size_t i = 0; i < faults->count; i++) {
        const struct config_fault *f = &faults->items[i];
        char line[16] = ""; // not known of every fault
        if (f->line > 0)
            snprintf(line, sizeof(line), ":%u", f->line);
        fprintf(stderr, "%s%s: %s: %s%s%s%s\n", path, line, f->pointer[0] ? f->pointer : "(root)",
                f->warning ? "warning: " : "", f->message, f->sql != NULL ? "; mend it with: " : "",
                f->sql != NULL ? f->sql : "");
    }
}

struct config *cli_load_config(const char *given)
{
    struct config_faults faults = {0};
    const char *path = cli_config_path(given);
    struct config *config = config_load(path, &faults);
    cli_print_faults(path, &faults, false);
    config_faults_free(&faults);
    return config;
}

static bool load_dirs(const char *given, char **state_dir_r, char **runtime_dir_r)
{
    struct config_faults faults = {0};
    const char *path = cli_config_path(given);
    bool known = config_load_dirs(path, state_dir_r, runtime_dir_r, &faults);
    cli_print_faults(path, &faults, false);
    config_faults_free(&faults);
    return known;
}

char *cli_state_dir(const char *given)
{
    char *state_dir = NULL, *runtime_dir = NULL;
    load_dirs(given, &state_dir, &runtime_dir);
    free(runtime_dir);
    return state_dir;
}

char *cli_runtime_dir(const char *given)
{
    char *state_dir = NULL, *runtime_dir = NULL;
    load_dirs(given, &state_dir, &runtime_dir);
    free(state_dir);
    return runtime_dir;
}

// Whether it is shown as it is: no control character (C0, DEL, C1), no stray byte.
static bool is_plain(const char *text, size_t n, bool lines)
{
    unsigned char c = (unsigned char)text[0];
    if (n == 1)
        return (c >= 0x20 && c != 0x7f) || (lines && (c == '\n' || c == '\t'));
    return n != 0 && !(c == 0xc2 && (unsigned char)text[1] < 0xa0);
}

void cli_append_plain(struct buf *out, const char *text, size_t length, bool lines)
{
    for (size_t i = 0, n; i < length; i += n) {
        n = text_utf8_length(text + i, length - i);
        if (is_plain(text + i, n, lines)) {
            buf_append(out, text + i, n);
        } else {
            buf_printf(out, "\\x%02x", (unsigned)(unsigned char)text[i]);
            n = 1;
        }
    }
}

void cli_print_plain(const char *text, size_t length, bool lines)
{
    struct buf out = {0};

    cli_append_plain(&out, text, length, lines);
    fwrite(buf_text(&out), 1, out.len, stdout);
    buf_deinit(&out);
}

void cli_bar(double part, char bar[CLI_BAR_WIDTH + 1])
{
    for (int i = 0; i < CLI_BAR_WIDTH; i++)
        bar[i] = (double)i < part * CLI_BAR_WIDTH ? '#' : '.';
    bar[CLI_BAR_WIDTH] = '\0';
}

int cli_usage_error(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "cxsink %s: ", command);
    vfprintf(stderr, format, args);
    fprintf(stderr, "; see `cxsink %s --help`\n", command);
    va_end(args);
    return EXIT_WRONG_USAGE;
}
