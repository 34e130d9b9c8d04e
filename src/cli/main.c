// SPDX-License-Identifier: Apache-2.0
// cxsink: what is common to all commands.
#include "app/daemon.h"
#include "app/environment.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "core/log.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void print_help(FILE *to)
{
    fputs("usage: cxsink COMMAND [OPTION...]\n\nCommands:\n", to);
    for (size_t i = 0; i < cli_commands_count; i++)
        fprintf(to, "  %-9s %s\n", cli_commands[i].name, cli_commands[i].help);
    fputs("\nCommon options:\n"
          "  -c, --config FILE   the configuration (else $CXSINK_CONFIG, else\n"
          "                      /etc/cxsink/cxsink.json)\n"
          "  -h, --help          help of a command\n"
          "      --version       the version\n"
          "\nExit codes: 0 done; 1 the answer is no; 64 wrong usage; 69 a server cannot be\n"
          "reached; 70 a fault of cxsink; 78 configuration fault.\n",
          to);
}

// `cxsink -c FILE COMMAND` is the same as `cxsink COMMAND -c FILE`: the command goes first.
static int command_index(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "--config") == 0)
            i++;
        else if (argv[i][0] != '-')
            return i;
    }
    return 0;
}

static int run_command(const struct cli_command *command, int argc, char **argv, int index)
{
    for (int i = index; i > 1; i--) { // the options before it move behind it
        char *kept = argv[i];
        argv[i] = argv[i - 1];
        argv[i - 1] = kept;
    }
    int code = command->fn(argc - 1, argv + 1);
    log_flush_repeats(true);
    return code;
}

// An option of all commands, before or behind the command.
static bool wants_version(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--version") == 0)
            return true;
    }
    return false;
}

static bool wants_help(const char *argument)
{
    return strcmp(argument, "-h") == 0 || strcmp(argument, "--help") == 0 ||
           strcmp(argument, "help") == 0;
}

static int dispatch(int argc, char **argv, int index)
{
    for (size_t i = 0; i < cli_commands_count; i++) {
        if (strcmp(argv[index], cli_commands[i].name) == 0)
            return run_command(&cli_commands[i], argc, argv, index);
    }
    char room[CLI_SUGGESTION_SIZE];
    fprintf(stderr, "cxsink: no command \"%s\"%s; see `cxsink --help`\n", argv[index],
            cli_suggestion(argv[index], cli_commands, cli_commands_count, sizeof(cli_commands[0]),
                           room));
    return EXIT_WRONG_USAGE;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    environment_hide();
    int index = command_index(argc, argv);
    if (wants_version(argc, argv)) {
        puts("cxsink " CXSINK_VERSION);
        return EXIT_DONE;
    }
    if (argc > 1 && wants_help(argv[1])) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (index > 0)
        return dispatch(argc, argv, index);
    if (argc > 1)
        fprintf(stderr, "cxsink: no command is named; see `cxsink --help`\n");
    else
        print_help(stderr);
    return EXIT_WRONG_USAGE;
}
