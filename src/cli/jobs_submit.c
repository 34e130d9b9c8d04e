// SPDX-License-Identifier: Apache-2.0
// cxsink jobs submit: reads jobs from files, checks all of them, and queues all or none.
#include "app/daemon.h"
#include "cli/common.h"
#include "core/mem.h"
#include "jobs_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct submit {
    const struct config *config;
    bool json;
    struct submissions all;
    const char **sources; // of each job in `all`: the file it is from
    size_t faults;
};

// --- faults --------------------------------------------------------------------------------------

static void print_json_fault(const char *file, const char *pointer, const char *message)
{
    struct buf line = {0};
    buf_append_text(&line, "{\"file\":");
    buf_json_string(&line, file, strlen(file));
    buf_append_text(&line, ",\"pointer\":");
    buf_json_string(&line, pointer, strlen(pointer));
    buf_append_text(&line, ",\"message\":");
    buf_json_string(&line, message, strlen(message));
    printf("%s}\n", buf_text(&line));
    buf_deinit(&line);
}

static void tell_fault(struct submit *s, const char *file, const char *pointer, const char *message)
{
    s->faults++;
    if (s->json) {
        print_json_fault(file, pointer, message);
        return;
    }
    struct buf line = {0};
    buf_printf(&line, "%s: %s: %s", file, pointer[0] != '\0' ? pointer : "(root)", message);
    struct buf plain = {0};
    cli_append_plain(&plain, line.data, line.len, false);
    fprintf(stderr, "%s\n", buf_text(&plain));
    buf_deinit(&line);
    buf_deinit(&plain);
}

// --- reading -------------------------------------------------------------------------------------

static bool is_inline(const char *name)
{
    return name[0] == '{' || name[0] == '[';
}

static const char *shown_name(const char *name)
{
    if (is_inline(name))
        return "(argument)";
    return strcmp(name, "-") == 0 ? "(standard input)" : name;
}

// One byte more than a text may have is enough for its fault.
static bool read_all(int fd, struct buf *text)
{
    const size_t most = SUBMISSION_TEXT_MAX + 1;
    while (text->len < most) {
        size_t room = most - text->len < (64U << 10) ? most - text->len : 64U << 10;
        ssize_t n = read(fd, buf_reserve(text, room), room);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return false;
        text->len += n > 0 ? (size_t)n : 0;
    }
    return true;
}

// The text of a name, and the directory where relative paths in it start (the caller's; NULL: there
// is none). False with errno.
static bool read_text(const char *name, struct buf *text, char **dir_r)
{
    bool is_stdin = strcmp(name, "-") == 0;
    if (is_inline(name) || is_stdin)
        *dir_r = getcwd(NULL, 0);
    if (is_inline(name)) {
        buf_append_text(text, name);
        return true;
    }
    int fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = read_all(fd, text);
    int error = errno;
    if (!is_stdin) {
        *dir_r = realpath(name, NULL);
        if (*dir_r != NULL)
            *strrchr(*dir_r, '/') = '\0';
        close(fd);
    }
    errno = error;
    return ok;
}

// --- collecting ----------------------------------------------------------------------------------

// Takes the jobs over.
static void append(struct submit *s, const char *source, struct submissions *jobs)
{
    size_t n = s->all.count + jobs->count;
    s->all.items = mem_realloc_array(s->all.items, n + 1, sizeof(*s->all.items));
    s->sources = mem_realloc_array(s->sources, n + 1, sizeof(*s->sources));
    for (size_t i = 0; i < jobs->count; i++) {
        s->sources[s->all.count] = source;
        s->all.items[s->all.count++] = jobs->items[i];
    }
    free(jobs->items);
    *jobs = (struct submissions){0};
}

static void read_file(struct submit *s, const char *name)
{
    struct submissions jobs = {0};
    struct job_faults faults = {0};
    struct buf text = {0};
    char *dir = NULL;
    const char *shown = shown_name(name);
    if (!read_text(name, &text, &dir)) {
        char *message = mem_printf("cannot be read: %s", strerror(errno));
        tell_fault(s, shown, "", message);
        free(message);
    } else if (submissions_parse(s->config, dir, buf_text(&text), text.len, &jobs, &faults)) {
        append(s, shown, &jobs);
    }
    for (size_t i = 0; i < faults.count; i++)
        tell_fault(s, shown, faults.items[i].pointer, faults.items[i].message);
    job_faults_free(&faults);
    submissions_free(&jobs);
    buf_deinit(&text);
    free(dir);
}

// --- an id in two files --------------------------------------------------------------------------

struct named {
    const char *id, *source;
};

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->id, ((const struct named *)b)->id);
}

static void check_ids(struct submit *s)
{
    struct named *named = mem_alloc((s->all.count + 1) * sizeof(*named));
    for (size_t i = 0; i < s->all.count; i++)
        named[i] = (struct named){s->all.items[i].id, s->sources[i]};
    qsort(named, s->all.count, sizeof(*named), by_id);
    for (size_t i = 1; i < s->all.count; i++) {
        if (strcmp(named[i - 1].id, named[i].id) != 0)
            continue;
        char *message = mem_printf("the id \"%s\" is that of a job in %s, too; give one another",
                                   named[i].id, named[i - 1].source);
        tell_fault(s, named[i].source, "", message);
        free(message);
    }
    free(named);
}

// --- the command ---------------------------------------------------------------------------------

bool jobs_is_schedule(const struct submission *job)
{
    return job->every_us > 0 || job->cron != NULL;
}

int jobs_submit(const struct config *config, const struct jobs_request *request)
{
    struct submit s = {.config = config, .json = request->json};
    int code = EXIT_NO;
    for (int i = 0; i < request->n_names; i++)
        read_file(&s, request->names[i]);
    check_ids(&s);
    if (s.faults > 0) {
        fprintf(stderr, "cxsink jobs: nothing is queued\n");
    } else if (request->dry_run) {
        jobs_dry_run(config, &s.all, request->json);
        code = EXIT_DONE;
    } else if (s.all.count == 0) {
        fprintf(stderr, "cxsink jobs: there is no job to queue\n");
        code = EXIT_DONE;
    } else {
        code = jobs_queue(config, &s.all, request);
    }
    free(s.sources);
    submissions_free(&s.all);
    return code;
}
