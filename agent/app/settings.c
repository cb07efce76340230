#include "app/settings.h"

#include <errno.h>
#include <libconfig.h>
#include <libgen.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/key.h"
#include "app/settings_text.h"
#include "base/log.h"

#define config_destroy_auto config_destroy
AUTO_DEFINE(char, free)

static void close_file(FILE *file)
{
    if (file)
        fclose(file);
}
AUTO_DEFINE(FILE, close_file)

bool settings_is_pattern(const char *interface)
{
    return strpbrk(interface, "*?[\\");
}

static bool is_interface_name(const char *name)
{
    size_t size = strlen(name);
    size_t size_max = settings_is_pattern(name) ? SETTINGS_PATTERN_MAX : IF_NAMESIZE - 1;
    if (size == 0 || size > size_max)
        return false;
    for (; *name; name++)
        if ((unsigned char)*name <= ' ' || *name == 0x7f || *name == '/' || *name == ':')
            return false;
    return true;
}

static int read_interface_name(const struct key *k, const config_setting_t *s, void *field,
                               struct text *error)
{
    (void)k;
    if (!key_is(s, CONFIG_TYPE_STRING) || !is_interface_name(config_setting_get_string(s)))
        return key_fail_value(s,
                              "a string of 1 to 15 characters without blank, \"/\" and \":\", "
                              "or a pattern of at most 63",
                              error);
    strcpy(field, config_setting_get_string(s));
    return 0;
}

static int read_port(const struct key *k, const config_setting_t *s, struct port_set *ports,
                     struct text *error)
{
    long long port;
    int r = key_integer(k, s, &port, error);
    if (r < 0)
        return r;
    if (port_set_has(ports, (uint16_t)port)) {
        char message[40];
        snprintf(message, sizeof(message), "port is listed twice: %d", (int)port);
        return key_fail(s, message, error);
    }
    port_set_add(ports, (uint16_t)port);
    return 0;
}

static int read_ports(const struct key *k, const config_setting_t *s, void *field,
                      struct text *error)
{
    if (!key_is(s, CONFIG_TYPE_ARRAY) && !key_is(s, CONFIG_TYPE_LIST))
        return key_fail_value(s, "an array [ ] of ports", error);
    int r = 0;
    for (int i = 0; r == 0 && i < config_setting_length(s); i++)
        r = read_port(k, key_element(s, i), field, error);
    return r;
}

static const struct key interface_keys[] = {
    {"name", read_interface_name, offsetof(struct settings_interface, name), .keys = NULL},
    {"ports", read_ports, offsetof(struct settings_interface, ports), .min = 1, .max = 65535},
    {"workers", key_read_uint32, offsetof(struct settings_interface, workers), .min = 1, .max = 16},
    {.name = NULL},
};

/* Add the interface of the group @s; there is room. */
static int add_interface(struct settings *settings, const config_setting_t *s, struct text *error)
{
    struct settings_interface *interface = &settings->interfaces[settings->interface_count];
    interface->workers = 1;
    int r = key_read_all(interface_keys, s, interface, error);
    if (r < 0)
        return r;
    if (!*interface->name)
        return key_fail(s, "each of interfaces needs a name", error);
    for (size_t i = 0; i < settings->interface_count; i++)
        if (strcmp(settings->interfaces[i].name, interface->name) == 0)
            return key_fail_text(s, "interface is listed twice", interface->name, error);
    settings->interface_count++;
    return 0;
}

/* Make room for each element of the list @s in @out. */
static int make_room(const config_setting_t *s, size_t element_bytes, void *out, struct text *error)
{
    if (!key_is(s, CONFIG_TYPE_LIST))
        return key_fail_value(s, "a list ( ) of groups { }", error);
    size_t count = (size_t)config_setting_length(s);
    void *elements = calloc(MAX(count, (size_t)1), element_bytes);
    if (!elements)
        return -ENOMEM;
    memcpy(out, &elements, sizeof(elements));
    return 0;
}

static int read_interfaces(const struct key *k, const config_setting_t *s, void *field,
                           struct text *error)
{
    (void)k;
    struct settings *settings = field;
    int r = make_room(s, sizeof(*settings->interfaces), &settings->interfaces, error);
    for (int i = 0; r == 0 && i < config_setting_length(s); i++)
        r = add_interface(settings, key_element(s, i), error);
    return r;
}

static const struct key rule_keys[] = {
    {"query", key_read_string, offsetof(struct rule_options, query), .keys = NULL},
    {"path", key_read_string, offsetof(struct rule_options, path), .keys = NULL},
    {"host", key_read_string, offsetof(struct rule_options, host), .keys = NULL},
    {"service", key_read_string, offsetof(struct rule_options, service), .keys = NULL},
    {.name = NULL},
};

/* Compile the rules, which are those of the list @s. */
static int compile_rules(struct settings *settings, const config_setting_t *s, struct text *error)
{
    struct rule_set *set;
    struct rule_error wrong;
    int r = rule_set_new(&set, settings->rules, settings->rule_count, &wrong);
    if (r == -EINVAL)
        return key_fail(key_element(s, (int)wrong.rule), wrong.message, error);
    if (r < 0)
        return r;
    rule_set_free(settings->rule_set);
    settings->rule_set = set;
    return 0;
}

static int read_rules(const struct key *k, const config_setting_t *s, void *field,
                      struct text *error)
{
    (void)k;
    struct settings *settings = field;
    int r = make_room(s, sizeof(*settings->rules), &settings->rules, error);
    for (int i = 0; r == 0 && i < config_setting_length(s); i++)
        r = key_read_all(rule_keys, key_element(s, i), &settings->rules[settings->rule_count++],
                         error);
    return r < 0 ? r : compile_rules(settings, s, error);
}

static const struct key session_keys[] = {
    {"timeout", key_read_seconds, offsetof(struct settings, sessions.timeout_ns), .min = 1,
     .max = 86400},
    {"max", key_read_uint32, offsetof(struct settings, sessions.max), .min = 1, .max = 1 << 24},
    {.name = NULL},
};

static const struct key service_keys[] = {
    {"max", key_read_uint32, offsetof(struct settings, services_max), .min = 1, .max = 1000000},
    {"idle", key_read_seconds, offsetof(struct settings, services_idle_ns), .min = 1,
     .max = 2678400},
    {.name = NULL},
};

static const struct key ring_keys[] = {
    {"size", key_read_mebibytes, offsetof(struct settings, ring_bytes), .min = 1, .max = 1024},
    {.name = NULL},
};

/* Those without an offset fill more than one field. */
static const struct key keys[] = {
    {"interfaces", read_interfaces, .keys = NULL},
    {"rules", read_rules, .keys = NULL},
    {"sessions", key_read_group, .keys = session_keys},
    {"services", key_read_group, .keys = service_keys},
    {"ring", key_read_group, .keys = ring_keys},
    {"offload", key_read_bool, offsetof(struct settings, offload), .keys = NULL},
    {"count_once", key_read_bool, offsetof(struct settings, count_once), .keys = NULL},
    {"workers", key_read_uint32, offsetof(struct settings, workers), .min = 1, .max = 64},
    {"statsd", settings_outputs_read_statsd, offsetof(struct settings, outputs), .keys = NULL},
    {"flush", settings_outputs_read_flush, offsetof(struct settings, outputs), .keys = NULL},
    {"syslog", settings_outputs_read_syslog, offsetof(struct settings, outputs), .keys = NULL},
    {"control", settings_control_read, offsetof(struct settings, control), .keys = NULL},
    {"state", settings_state_read, offsetof(struct settings, state), .keys = NULL},
    {"user", key_read_string, offsetof(struct settings, user.name), .keys = NULL},
    {.name = NULL},
};

int settings_default(struct settings **out)
{
    AUTO(settings_free) struct settings *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->sessions.timeout_ns = UINT64_C(121000000000);
    s->sessions.max = 65536;
    s->services_max = 1000;
    s->services_idle_ns = UINT64_C(3600000000000);
    s->offload = true;
    s->workers = 1;
    settings_outputs_init(&s->outputs);
    if (settings_control_init(&s->control) < 0)
        return -ENOMEM;
    /* Where it all began: ?s=yo is for the service yo. */
    static const struct rule_options rule = {.query = "s"};
    struct rule_error error;
    int r = rule_set_new(&s->rule_set, &rule, 1, &error);
    if (r < 0)
        return r;
    *out = TAKE(s);
    return 0;
}

/* Quote the line @number of @path. Nothing if there is none: the error is at the end. */
static void quote_line(struct text *error, const char *path, int number)
{
    AUTO(close_file) FILE *file = fopen(path, "re");
    char line[256] = "";
    for (int at = 0; file && at < number;) {
        if (!fgets(line, sizeof(line), file))
            return;
        at += strchr(line, '\n') || feof(file);
    }
    struct bytes words = bytes_from_string(line + strspn(line, " \t"));
    words.size = strcspn((const char *)words.data, "\r\n");
    if (!words.size)
        return;
    text_add_string(error, ": \"");
    text_add_printable(error, words);
    text_add_char(error, '"');
}

static int parse(config_t *config, const char *path, struct text *error)
{
    if (config_read_file(config, path) == CONFIG_TRUE)
        return 0;
    const char *file = config_error_file(config) ? config_error_file(config) : path;
    int line = config_error_line(config);
    text_printf(error, "%s:%d: %s", file, line, config_error_text(config));
    quote_line(error, file, line);
    return -EINVAL;
}

/* What is not wrong, but not as it should be. */
static void warn(const struct settings *s, const char *path)
{
    if (!settings_outputs_suit_datadog(&s->outputs))
        log_warning("%s: flush.interval of %llu s: Datadog adds up over 10 s, take a divisor or a "
                    "multiple of that",
                    path, (unsigned long long)(s->outputs.flush_ns / 1000000000));
}

int settings_load(struct settings **out, const char *path, struct text *error)
{
    AUTO(free) char *copy = strdup(path);
    AUTO(settings_free) struct settings *s = NULL;
    int r = copy ? settings_default(&s) : -ENOMEM;
    if (r < 0)
        return r;
    const char *directory = dirname(copy);
    r = settings_text_check(path, directory, error);
    if (r < 0)
        return r;

    AUTO(config_destroy) config_t config;
    config_init(&config);
    config_set_include_dir(&config, directory);
    r = parse(&config, path, error);
    if (r == 0)
        r = key_read_all(keys, config_root_setting(&config), s, error);
    if (r < 0)
        return r;
    /* Sinks may be owed what the engines have forgotten, but no more than once over. */
    uint64_t longest_ns = settings_outputs_longest_interval_ns(&s->outputs);
    s->services_idle_ns = MAX(s->services_idle_ns, longest_ns);
    warn(s, path);
    *out = TAKE(s);
    return 0;
}

struct settings *settings_free(struct settings *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->rule_count; i++) {
        free((char *)s->rules[i].query);
        free((char *)s->rules[i].path);
        free((char *)s->rules[i].host);
        free((char *)s->rules[i].service);
    }
    free(s->rules);
    free(s->interfaces);
    settings_outputs_deinit(&s->outputs);
    settings_control_deinit(&s->control);
    settings_state_deinit(&s->state);
    settings_user_deinit(&s->user);
    rule_set_free(s->rule_set);
    free(s);
    return NULL;
}
