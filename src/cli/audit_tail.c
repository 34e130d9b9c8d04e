// SPDX-License-Identifier: Apache-2.0
// cxsink audit tail: the last events, and those that come.
#include "app/daemon.h"
#include "audit_priv.h"
#include "cli/common.h"
#include "core/mem.h"
#include "json/lookup.h"
#include "json/tape.h"
#include "ops/audit_read.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINES 10
#define LINES_MOST 1000000
#define FOLLOW_PAUSE_NS 200000000

struct tail {
    const struct audit_request *request;
    struct tape tape;
    char **last;       // the newest of a file that match, a ring; owned
    size_t room, next; // of the ring
};

// --- one event ---

static bool parse(struct tail *t, const char *text)
{
    return tape_parse(&t->tape, text, strlen(text)) && t->tape.tokens[0].kind == TAPE_OBJECT;
}

static bool wanted(struct tail *t, const char *text)
{
    const struct audit_request *r = t->request;
    if (!parse(t, text)) // a part of a line; shown where all are
        return r->event == NULL && r->stream == NULL;
    char *event = lookup_text(&t->tape, lookup_member(&t->tape, 0, "event"));
    char *stream = lookup_text(&t->tape, lookup_member(&t->tape, 0, "stream"));
    bool takes = r->event == NULL || (event != NULL && fnmatch(r->event, event, 0) == 0);
    takes = takes && (r->stream == NULL || (stream != NULL && strcmp(r->stream, stream) == 0));
    free(event);
    free(stream);
    return takes;
}

// TIME EVENT name=value ...; the chain's own members are left out.
static void append_text(struct tail *t, struct buf *out)
{
    static const char *const hidden[] = {"time", "event", "prev", "hash", "key_id"};
    char *when = lookup_text(&t->tape, lookup_member(&t->tape, 0, "time"));
    char *event = lookup_text(&t->tape, lookup_member(&t->tape, 0, "event"));
    buf_printf(out, "%s %s", when != NULL ? when : "?", event != NULL ? event : "?");
    free(when);
    free(event);
    const struct tape_token *tokens = t->tape.tokens;
    for (uint32_t key = 1; key != tokens[0].next; key = tokens[key + 1].next) {
        char *name = lookup_text(&t->tape, key);
        bool shown = name != NULL;
        for (size_t i = 0; shown && i < sizeof(hidden) / sizeof(hidden[0]); i++)
            shown = strcmp(name, hidden[i]) != 0;
        char *value = shown ? lookup_text(&t->tape, key + 1) : NULL;
        if (value != NULL)
            buf_printf(out, strpbrk(value, " =\"") != NULL ? " %s=\"%s\"" : " %s=%s", name, value);
        free(name);
        free(value);
    }
}

static void show(struct tail *t, const char *text)
{
    struct buf out = {0};
    if (t->request->json || !parse(t, text))
        buf_append_text(&out, text);
    else
        append_text(t, &out);
    cli_print_plain(out.data, out.len, false);
    putchar('\n');
    buf_deinit(&out);
}

// --- the last ones ---

static bool on_line(void *owner, const struct audit_read_line *line)
{
    struct tail *t = owner;
    if (!line->ended || !wanted(t, line->text))
        return true;
    free(t->last[t->next]);
    t->last[t->next] = mem_strndup(line->text, line->length);
    t->next = (t->next + 1) % t->room;
    return true;
}

// The last `room` events up to this file's end; where it has fewer, the files before it have more.
static enum status_code show_last(struct tail *t, const struct audit_read *read, size_t file,
                                  size_t room, struct status *st)
{
    char **last = mem_zalloc(room * sizeof(char *));
    size_t found = 0;
    t->last = last;
    t->room = room;
    t->next = 0;
    enum status_code code = audit_read_lines(&read->files[file], on_line, t, st);
    size_t begin = t->next;
    for (size_t i = 0; i < room; i++)
        found += last[i] != NULL;
    if (code == STATUS_OK && found < room && file > 0)
        code = show_last(t, read, file - 1, room - found, st);
    for (size_t i = 0; i < room; i++) {
        char *text = last[(begin + i) % room];
        if (text != NULL && code == STATUS_OK)
            show(t, text);
        free(text);
    }
    free(last);
    return code;
}

// --- those that come ---

// Shows the whole lines that there are.
static void drain(struct tail *t, FILE *from)
{
    char *text = NULL;
    size_t room = 0;
    for (ssize_t n; (n = getline(&text, &room, from)) > 0;) {
        if (text[n - 1] != '\n') { // more of it comes
            fseeko(from, -(off_t)n, SEEK_CUR);
            break;
        }
        text[n - 1] = '\0';
        if (wanted(t, text))
            show(t, text);
    }
    clearerr(from);
    free(text);
    fflush(stdout);
}

static bool is_replaced(const char *path, FILE *from)
{
    struct stat named, open_one;
    return stat(path, &named) == 0 && fstat(fileno(from), &open_one) == 0 &&
           (named.st_ino != open_one.st_ino || named.st_dev != open_one.st_dev);
}

// Until it is interrupted, or nobody reads any more.
static void follow(struct tail *t, const char *path, FILE *from)
{
    while (from != NULL && !ferror(stdout)) {
        bool replaced = is_replaced(path, from); // before the last lines of it are read
        drain(t, from);
        if (replaced) {
            fclose(from);
            from = fopen(path, "re");
            continue;
        }
        nanosleep(&(struct timespec){.tv_nsec = FOLLOW_PAUSE_NS}, NULL);
    }
    if (from != NULL)
        fclose(from);
}

int audit_tail(const struct audit_request *request, const char *path)
{
    struct tail t = {.request = request};
    struct audit_read read;
    struct status st = {0};
    FILE *from = NULL;
    size_t lines = LINES;
    if (request->lines > 0)
        lines = request->lines < LINES_MOST ? (size_t)request->lines : LINES_MOST;
    tape_init(&t.tape, 0);
    enum status_code code = audit_read_open(path, &read, &st);
    if (code == STATUS_OK) {
        const struct audit_read_file *newest = &read.files[read.n_files - 1];
        code = show_last(&t, &read, read.n_files - 1, lines, &st);
        if (request->follow && code == STATUS_OK)
            from = fdopen(dup(newest->fd), "r");
        if (from != NULL)
            fseeko(from, (off_t)newest->size, SEEK_SET);
        audit_read_close(&read);
    }
    if (code != STATUS_OK)
        fprintf(stderr, "cxsink audit: %s\n", st.detail);
    follow(&t, path, from);
    tape_deinit(&t.tape);
    return code == STATUS_OK ? EXIT_DONE : EXIT_NO;
}
