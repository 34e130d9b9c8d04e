// SPDX-License-Identifier: Apache-2.0
// cxsink status --watch. On a terminal it draws on the alternate screen, which leaves what was
// there before; elsewhere it prints one block after the other.
#include "app/daemon.h"
#include "ask_priv.h"
#include "core/clock.h"
#include "status_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// A daemon that hangs holds the picture, and a Ctrl-C, for so long.
#define PATIENCE_US US_PER_S

static const char enter_screen[] = "\x1b[?1049h\x1b[?25l";
static const char leave_screen[] = "\x1b[?25h\x1b[?1049l";

struct answer {
    struct buf text;
    struct tape tape;
    bool there;
};

struct watch {
    const char *dir;
    bool json, terminal;
    struct answer answers[2]; // the last one, and the one before it
    unsigned last;            // its index
    int64_t silent_us;        // wall time of the first question that was not answered; 0: it was
    struct status trouble;    // why
    bool gone;                // standard output is
};

// --- asking ---

static void ask(struct watch *w)
{
    struct answer *next = &w->answers[1 - w->last];
    status_clear(&w->trouble);
    next->there = false;
    const char *body = ask_daemon(w->dir, "GET /api/status", PATIENCE_US, &next->text, &w->trouble);
    if (body != NULL && !tape_parse(&next->tape, body, strlen(body)))
        status_set(&w->trouble, STATUS_INVALID, "the daemon's answer is not JSON");
    next->there = w->trouble.code == STATUS_OK;
    if (next->there) {
        w->silent_us = 0;
        w->last = 1 - w->last;
    } else if (w->silent_us == 0) {
        w->silent_us = wall_read_us();
    }
}

// --- showing ---

static void put(struct watch *w, const char *data, size_t length)
{
    while (length > 0 && !w->gone) {
        ssize_t n = write(STDOUT_FILENO, data, length);
        if (n < 0 && errno != EINTR)
            w->gone = true;
        if (n > 0) {
            data += n;
            length -= (size_t)n;
        }
    }
}

static void show_silence(const struct watch *w, const struct status_view *view, struct buf *out)
{
    char since[32], age[16];
    struct buf line = {0};
    wall_format(w->silent_us, since, sizeof(since));
    status_age((double)(wall_read_us() - w->silent_us) / 1e6, age, sizeof(age));
    buf_printf(&line, "no answer since %.19sZ (%s): %s", since, age, w->trouble.detail);
    status_colour(view, COLOUR_BAD, out);
    buf_append_text(out, "! ");
    status_colour(view, COLOUR_NONE, out);
    status_wrap(view, buf_text(&line), 2, 2, out);
    buf_deinit(&line);
}

static void compose(const struct watch *w, struct status_view *view, struct buf *out)
{
    const struct answer *last = &w->answers[w->last], *before = &w->answers[1 - w->last];
    if (w->silent_us != 0) {
        show_silence(w, view, out);
        return;
    }
    view->tape = &last->tape;
    view->before = before->there ? &before->tape : NULL;
    status_show(view, out);
}

// As many lines as the window has; each replaces what was there.
static void draw(struct watch *w)
{
    struct buf text = {0}, screen = {0};
    struct status_view view = {.colours = status_colours_wanted()};
    unsigned rows = 0;
    if (!status_terminal(&view.width, &rows))
        return;
    compose(w, &view, &text);
    buf_append_text(&screen, "\x1b[H");
    const char *line = buf_text(&text);
    for (unsigned row = 1; *line != '\0' && row <= rows; row++) {
        size_t length = strcspn(line, "\n");
        buf_append(&screen, line, length);
        buf_append_text(&screen, row < rows ? "\x1b[K\r\n" : "\x1b[K");
        line += length + (line[length] == '\n');
    }
    buf_append_text(&screen, "\x1b[0m\x1b[J");
    put(w, screen.data, screen.len);
    buf_deinit(&text);
    buf_deinit(&screen);
}

static void print(struct watch *w)
{
    struct buf text = {0};
    struct status_view view = {0};
    char now[32];
    if (w->json && w->silent_us == 0) {
        buf_append_text(&text, strstr(buf_text(&w->answers[w->last].text), "\r\n\r\n") + 4);
    } else if (w->json) {
        buf_append_text(&text, "{\"ready\":false,\"reasons\":[");
        buf_json_string(&text, w->trouble.detail, strlen(w->trouble.detail));
        buf_append_text(&text, "]}\n");
    } else {
        wall_format(wall_read_us(), now, sizeof(now));
        buf_printf(&text, "--- %.19sZ\n", now);
        compose(w, &view, &text);
    }
    put(w, text.data, text.len);
    buf_deinit(&text);
}

static void show(struct watch *w)
{
    if (w->terminal)
        draw(w);
    else
        print(w);
}

// --- waiting ---

// The signal that came; 0: the time is over.
static int wait_signal(const sigset_t *set, struct mono until)
{
    int64_t left_us = mono_diff(until, mono_read());
    if (left_us < 0)
        left_us = 0;
    struct timespec time = {.tv_sec = left_us / US_PER_S, .tv_nsec = left_us % US_PER_S * 1000};
    int number = sigtimedwait(set, NULL, &time);
    return number > 0 ? number : 0;
}

// Ctrl-Z: the shell gets its screen back, until it lets us go on.
static void suspend(struct watch *w)
{
    put(w, leave_screen, strlen(leave_screen));
    raise(SIGSTOP);
    put(w, enter_screen, strlen(enter_screen));
}

// False when it is to end.
static bool wait_turn(struct watch *w, const sigset_t *set, struct mono until)
{
    for (;;) {
        int number = wait_signal(set, until);
        if (number == SIGTSTP && w->terminal)
            suspend(w);
        else if (number != SIGWINCH && number != SIGTSTP)
            return number == 0;
        show(w);
    }
}

static void run(struct watch *w, int64_t interval_us)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < (sizeof(numbers) / sizeof(numbers[0]) - (w->terminal ? 0 : 2));
         i++) // the last two are the terminal's
        sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct mono next = mono_read();
    if (w->terminal)
        put(w, enter_screen, strlen(enter_screen));
    do {
        ask(w);
        show(w);
        next = mono_add(next, interval_us);
        if (mono_diff(next, mono_read()) < 0) // it was slow: what was missed is not made up
            next = mono_add(mono_read(), interval_us);
    } while (!w->gone && wait_turn(w, &set, next));
    if (w->terminal)
        put(w, leave_screen, strlen(leave_screen));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int status_watch(const char *dir, int64_t interval_us, bool json)
{
    unsigned columns, rows;
    struct watch w = {
        .dir = dir, .json = json, .terminal = !json && status_terminal(&columns, &rows)};
    for (size_t i = 0; i < 2; i++)
        tape_init(&w.answers[i].tape, 0);
    run(&w, interval_us);
    for (size_t i = 0; i < 2; i++) {
        tape_deinit(&w.answers[i].tape);
        buf_deinit(&w.answers[i].text);
    }
    return EXIT_DONE;
}
