// SPDX-License-Identifier: Apache-2.0
// cxsink resume: goes on with streams that the reject_guard holds, over the control socket.
#include "app/daemon.h"
#include "ask_priv.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: cxsink resume [--stream NAME] [--accept] [-c FILE | --runtime-dir DIR] [--json]\n"
    "\n"
    "Goes on with streams that are held since too many of their events were refused (setting\n"
    "reject_guard). They are held again when that is still so. A reload does the same. Who asked\n"
    "is audited.\n"
    "\n"
    "      --stream NAME      only this one\n"
    "      --accept           what is refused becomes dead letters, until a whole window of "
    "events\n"
    "                         is well again\n"
    "  -c, --config FILE      the daemon's configuration (tells its runtime_dir)\n"
    "      --runtime-dir DIR  where its control.sock is, without reading a configuration\n"
    "      --json             the answer as JSON\n"
    "\n"
    "Exit codes: 0 done; 1 no such stream is held; 69 it does not run, or does not answer.\n";

struct resume_request {
    const char *path, *dir, *stream;
    bool accept, json;
};

static const struct cli_option list[] = {
    CLI_CONFIG_OPTION(resume_request, path),
    CLI_OPTION(resume_request, "runtime-dir", CLI_TEXT, dir),
    CLI_OPTION(resume_request, "stream", CLI_TEXT, stream),
    CLI_OPTION(resume_request, "accept", CLI_FLAG, accept),
    CLI_OPTION(resume_request, "json", CLI_FLAG, json),
};
static const struct cli_options options = {
    .command = "resume", .help = help, .list = list, .n = sizeof(list) / sizeof(list[0])};

// What a stream's name may be made of; nothing in it needs to be encoded.
static bool is_name(const char *text)
{
    size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
    return n > 0 && n < 64 && text[n] == '\0';
}

static int ask(const char *dir, const struct resume_request *request)
{
    char asked[160];
    struct buf answer = {0};
    struct status st = {0};
    const char *stream = request->stream;
    int code = EXIT_NO_SERVER;
    snprintf(asked, sizeof(asked), "POST /api/resume?%s%s&accept=%s",
             stream != NULL ? "stream=" : "all=true", stream != NULL ? stream : "",
             request->accept ? "true" : "false");
    const char *body = ask_daemon(dir, asked, ASK_PATIENCE_US, &answer, &st);
    int count = 0;
    if (body == NULL || sscanf(body, "{\"resumed\":%d}", &count) != 1) {
        fprintf(stderr, "cxsink resume: %s\n",
                body == NULL ? st.detail : "the daemon's answer is of another version");
    } else {
        code = count > 0 ? EXIT_DONE : EXIT_NO;
        if (request->json)
            fputs(body, stdout);
        else if (count > 0)
            printf("%d stream%s\n", count, count == 1 ? " goes on" : "s go on");
        else
            fprintf(stderr, "cxsink resume: %s%s is held\n",
                    stream != NULL ? "no stream " : "no stream", stream != NULL ? stream : "");
    }
    buf_deinit(&answer);
    return code;
}

int cli_resume(int argc, char **argv)
{
    struct resume_request request = {0};
    int code = cli_options_read(&options, argc, argv, &request);
    if (code != CLI_GO_ON)
        return code;
    if (request.stream != NULL && !is_name(request.stream))
        return cli_usage_error("resume", "\"%s\" is not the name of a stream", request.stream);
    if (request.dir != NULL)
        return ask(request.dir, &request);
    char *dir = cli_runtime_dir(request.path);
    if (dir == NULL)
        return EXIT_CONFIG;
    code = ask(dir, &request);
    free(dir);
    return code;
}
