#include "app/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/control_socket.h"

enum { OPTION_PRINT = 0x100, OPTION_INTERVAL, OPTION_SOCKET, OPTION_JSON, OPTION_PID };

static const double INTERVAL_MIN_S = 0.1;
static const double INTERVAL_MAX_S = 86400;

/* The agent closes who asks nothing for 30 s. */
static const uint64_t TOP_INTERVAL_MAX_NS = 20000000000;

/* Linux has no process with a larger one. */
static const unsigned long PID_MAX = 4194304;

static const char SHORT_OPTIONS[] = ":c:i:r:tvVh";

static const struct option LONG_OPTIONS[] = {
    {"config", required_argument, NULL, 'c'},
    {"interface", required_argument, NULL, 'i'},
    {"read", required_argument, NULL, 'r'},
    {"test", no_argument, NULL, 't'},
    {"print", required_argument, NULL, OPTION_PRINT},
    {"interval", required_argument, NULL, OPTION_INTERVAL},
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"json", no_argument, NULL, OPTION_JSON},
    {"pid", required_argument, NULL, OPTION_PID},
    {"verbose", no_argument, NULL, 'v'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static const char HELP[] =
    "usage: httpacct [-c FILE] [-i IF]... [-r FILE] [-t]\n"
    "                [--print table|json|events|transactions|none]\n"
    "                [--interval S] [-v] [-V] [-h]\n"
    "       httpacct [-c FILE] [--socket PATH] status [--json]\n"
    "       httpacct [-c FILE] [--socket PATH] reload [--pid PID]\n"
    "       httpacct [-c FILE] rules URL [HOST] [--json]\n"
    "       httpacct [-c FILE] [--socket PATH] top [--interval S]\n"
    "\n"
    "Counts the bytes that each HTTP service receives and sends, from packets.\n"
    "\n"
    "  -c, --config FILE   Read FILE; without -c " HTTPACCT_CONFIG_FILE ", if it exists.\n"
    "  -i, --interface IF  Watch IF, a name or a pattern as 'veth*'; once for each. Takes the\n"
    "                      place of the config's interfaces, but keeps the ports the config\n"
    "                      has for IF. Without -i: the config's, or else every interface.\n"
    "  -r, --read FILE     Read a capture file (pcap or pcapng; - is standard input) and\n"
    "                      print its totals. Needs no rights. Time is the capture's. Every\n"
    "                      TCP port counts; with -i IF, the ports the config has for IF.\n"
    "  -t, --test          Check the config and say what is wrong with it.\n"
    "      --print FORM    What to print on standard output:\n"
    "                        table         services, sorted by bytes; the default on a\n"
    "                                      terminal\n"
    "                        json          an object a line: what moved in each interval,\n"
    "                                      totals at the end; the default elsewhere,\n"
    "                                      unless the config sends to statsd or syslog\n"
    "                        events        each request and reply when it has ended\n"
    "                        transactions  an object for each request and its reply\n"
    "                        none          nothing; the default where json is not\n"
    "      --interval S    Seconds between tables or JSON lines, 0.1 to 86400. Default: 1\n"
    "                      for a table on a terminal, else 10. With -r: none, only totals.\n"
    "  -v, --verbose       Say more on standard error.\n"
    "  -V, --version       Print the version.\n"
    "  -h, --help          Print this.\n"
    "\n"
    "SIGINT or SIGTERM ends it, with the totals; SIGHUP reads the config again.\n"
    "\n"
    "  status              Ask the agent that runs how it fares: health, books, services,\n"
    "                      destinations.\n"
    "  reload              Let it read its config anew.\n"
    "  rules URL [HOST]    Say which rule of the config takes a request for URL, a path or\n"
    "                      http://HOST/PATH, and why the others don't.\n"
    "  top                 Show on the terminal what each service moves now. h helps there.\n"
    "      --interval S    top: seconds between looks, 0.1 to 20. Default: 1\n"
    "      --json          status, rules: as an object on one line.\n"
    "      --pid PID       reload: have this process do it; with SIGHUP, if it is not at the\n"
    "                      socket: then only its log says what comes of it.\n"
    "      --socket PATH   Ask at this socket. Default: the config's, or else\n"
    "                      " CONTROL_PATH ".\n"
    "\n"
    "Exit status: 0 done, 1 failed (no agent answers), 2 the command line is wrong,\n"
    "3 the agent is degraded (status).\n";

const char *options_help(void)
{
    return HELP;
}

static bool parse_form(const char *text, struct options *o, struct options_error *error)
{
    o->has_form = console_form_find(&o->form, text);
    if (o->has_form)
        return true;
    snprintf(error->message, sizeof(error->message),
             "--print '%s': use table, json, events, transactions or none", text);
    return false;
}

static bool parse_interval(const char *text, struct options *o, struct options_error *error)
{
    /* strtod would also take "inf", "0x5" and " 5". */
    bool plain = *text && strspn(text, "0123456789.") == strlen(text);
    char *end = NULL;
    double seconds = plain ? strtod(text, &end) : 0;
    if (!plain || *end || seconds < INTERVAL_MIN_S || seconds > INTERVAL_MAX_S) {
        snprintf(error->message, sizeof(error->message),
                 "--interval '%s': use a number of seconds from 0.1 to 86400", text);
        return false;
    }
    o->interval_ns = (uint64_t)(seconds * 1e9 + 0.5);
    return true;
}

static bool parse_pid(const char *text, struct options *o, struct options_error *error)
{
    bool plain = *text && strspn(text, "0123456789") == strlen(text);
    unsigned long pid = plain ? strtoul(text, NULL, 10) : 0;
    if (pid < 1 || pid > PID_MAX) {
        snprintf(error->message, sizeof(error->message),
                 "--pid '%s': use the number of a process, 1 to %lu", text, PID_MAX);
        return false;
    }
    o->pid = (pid_t)pid;
    return true;
}

static bool add_interface(const char *name, struct options *o, struct options_error *error)
{
    if (o->interface_count == OPTIONS_INTERFACES_MAX) {
        snprintf(error->message, sizeof(error->message), "at most %d times -i",
                 OPTIONS_INTERFACES_MAX);
        return false;
    }
    for (unsigned i = 0; i < o->interface_count; i++) {
        if (strcmp(o->interfaces[i], name) == 0) {
            snprintf(error->message, sizeof(error->message), "-i %s is given twice", name);
            return false;
        }
    }
    o->interfaces[o->interface_count++] = name;
    return true;
}

static bool find_command(const char *word, struct options *o, int *min, int *max)
{
    static const struct {
        const char *name;
        enum command command;
        int min, max;
    } commands[] = {
#define COMMAND_ENTRY(NAME, name, min, max) {(name), COMMAND_##NAME, (min), (max)},
        COMMANDS(COMMAND_ENTRY)
#undef COMMAND_ENTRY
    };
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (strcmp(commands[i].name, word) != 0)
            continue;
        o->command = commands[i].command;
        *min = commands[i].min;
        *max = commands[i].max;
        return true;
    }
    return false;
}

/* @words are what is left of the command line, @count of them. */
static bool parse_command(char **words, int count, struct options *o, struct options_error *error)
{
    int min = 0, max = 0;
    if (count == 0)
        return true;
    if (!find_command(words[0], o, &min, &max)) {
        snprintf(error->message, sizeof(error->message), "unexpected '%s': see httpacct --help",
                 words[0]);
        return false;
    }
    if (count - 1 < min) {
        snprintf(error->message, sizeof(error->message),
                 "%s: missing argument: see httpacct --help", words[0]);
        return false;
    }
    if (count - 1 > max) {
        snprintf(error->message, sizeof(error->message), "%s: unexpected '%s': see httpacct --help",
                 words[0], words[max + 1]);
        return false;
    }
    for (int i = 1; i < count; i++)
        o->arguments[i - 1] = words[i];
    return true;
}

/* Options that have no meaning for what is asked are mistakes. */
static const char *find_misfit(const struct options *o)
{
    bool asks = o->command != COMMAND_NONE;
    bool json = o->command == COMMAND_STATUS || o->command == COMMAND_RULES;
    bool socket = asks && o->command != COMMAND_RULES;
    if (o->json && !json)
        return "--json is for status and rules";
    if (o->socket && !socket)
        return "--socket is for status, reload and top";
    if (o->pid && o->command != COMMAND_RELOAD)
        return "--pid is for reload";
    if (asks && (o->read || o->interface_count || o->test || o->has_form))
        return "-i, -r, -t and --print are not for commands";
    if (o->interval_ns && asks && o->command != COMMAND_TOP)
        return "--interval is for top only of the commands";
    if (o->command == COMMAND_TOP && o->interval_ns > TOP_INTERVAL_MAX_NS)
        return "--interval of top is 20 seconds at most";
    if (o->read && o->interface_count > 1)
        return "-r takes at most one -i";
    return NULL;
}

static bool set_file(const char **file, char letter, const char *path, struct options_error *error)
{
    if (*file) {
        snprintf(error->message, sizeof(error->message),
                 "-%c is given twice: '%s' and '%s'; use one", letter, *file, path);
        return false;
    }
    *file = path;
    return true;
}

/* @option is '?' or ':', @text as the user wrote it. */
static void describe_bad_option(int option, const char *text, struct options_error *error)
{
    char letter[3] = {'-', (char)optopt, '\0'};
    /* A short option may stand in a group, so its own letter names it better. */
    const char *name =
        optopt > 0 && optopt < OPTION_PRINT && strncmp(text, "--", 2) != 0 ? letter : text;
    snprintf(error->message, sizeof(error->message), "%s '%s': see httpacct --help",
             option == ':' ? "missing value after" : "unknown option", name);
}

enum options_outcome options_parse(struct options *o, int argc, char **argv,
                                   struct options_error *error)
{
    *o = (struct options){0};
    opterr = 0;
    optind = 0; /* glibc: start over */

    int option;
    while ((option = getopt_long(argc, argv, SHORT_OPTIONS, LONG_OPTIONS, NULL)) != -1) {
        bool good = true;
        switch (option) {
        case 'c':
            good = set_file(&o->config, 'c', optarg, error);
            break;
        case 'r':
            good = set_file(&o->read, 'r', optarg, error);
            break;
        case 'i':
            good = add_interface(optarg, o, error);
            break;
        case 't':
            o->test = true;
            break;
        case OPTION_PRINT:
            good = parse_form(optarg, o, error);
            break;
        case OPTION_INTERVAL:
            good = parse_interval(optarg, o, error);
            break;
        case OPTION_SOCKET:
            o->socket = optarg;
            break;
        case OPTION_JSON:
            o->json = true;
            break;
        case OPTION_PID:
            good = parse_pid(optarg, o, error);
            break;
        case 'v':
            o->verbose = true;
            break;
        case 'V':
            return OPTIONS_VERSION;
        case 'h':
            return OPTIONS_HELP;
        default:
            describe_bad_option(option, argv[optind - 1], error);
            return OPTIONS_WRONG;
        }
        if (!good)
            return OPTIONS_WRONG;
    }

    if (!parse_command(argv + optind, argc - optind, o, error))
        return OPTIONS_WRONG;
    const char *misfit = find_misfit(o);
    if (misfit)
        snprintf(error->message, sizeof(error->message), "%s", misfit);
    return misfit ? OPTIONS_WRONG : OPTIONS_RUN;
}
