#include "core/rule.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "core/percent.h"
#include "support/guard.h"

enum { GUARD_SIZE = 1 << 20, RANDOM_RULES_MAX = 12 };

static struct guard target_guard, host_guard;

static struct rule_set *compiled(const struct rule_options *rules, size_t count)
{
    struct rule_set *set = NULL;
    struct rule_error error;
    if (rule_set_new(&set, rules, count, &error) < 0)
        fail_msg("rule %zu: %s", error.rule, error.message);
    return set;
}

static int match(const struct rule_set *set, struct bytes target, struct bytes host,
                 struct service_name *name)
{
    struct rule_request request = {
        .target = guard_copy(&target_guard, target),
        .host = guard_copy(&host_guard, host),
    };
    return rule_set_match(set, &request, name);
}

/* The name that one rule gives a request, NULL for none. Valid until the next call. */
static const char *named(struct rule_options rule, const char *target, const char *host)
{
    static struct service_name name;
    AUTO(rule_set_free) struct rule_set *set = compiled(&rule, 1);
    int found = match(set, bytes_from_string(target), bytes_from_string(host), &name);
    return found == RULE_NONE ? NULL : name.text;
}

/* @raw is the name as it would be if any text were a name. */
static void assert_named(struct rule_options rule, const char *target, const char *host,
                         const char *raw)
{
    const char *name = named(rule, target, host);
    if (!name)
        fail_msg("%s at \"%s\" has no service, not %s", target, host, raw);
    struct service_name expected;
    service_name_make(&expected, bytes_from_string(raw));
    assert_string_equal(name, expected.text);
}

static void assert_none(struct rule_options rule, const char *target, const char *host)
{
    const char *name = named(rule, target, host);
    if (name)
        fail_msg("%s at \"%s\" is %s", target, host, name);
}

static void query_names_the_service(void **state)
{
    (void)state;
    struct rule_options rule = {.query = "s"};
    assert_named(rule, "/x?s=yo", "", "yo");
    assert_named(rule, "http://h?a&s=yo&b", "", "yo");
    assert_named(rule, "/x?%73=%79o", "", "yo");
    assert_named(rule, "/x?s=a=b", "", "a=b");
    assert_none(rule, "/x?S=yo", "");
    assert_none(rule, "/x?ss=yo&s", "");
    assert_none(rule, "/x#?s=yo", "");
    assert_none(rule, "/s=yo", "");
    assert_none(rule, "*", "");
}

static void the_last_value_wins_even_if_empty(void **state)
{
    (void)state;
    struct rule_options rule = {.query = "s"};
    assert_named(rule, "/?s=a&s=b", "", "b");
    assert_named(rule, "/?s=a&%73=b&t=c", "", "b");
    assert_none(rule, "/?s=a&s=", "");
    assert_none(rule, "/?s=a&s", "");
}

static void query_is_decoded_as_a_form(void **state)
{
    (void)state;
    assert_named((struct rule_options){.query = "a b"}, "/?a+b=x%2Dy", "", "x-y");
    assert_named((struct rule_options){.query = "a&=%"}, "/?a%26%3d%=x", "", "x");
    assert_named((struct rule_options){.query = "s"}, "/?s=%2", "", "%2");
}

static void query_with_a_service_is_a_condition(void **state)
{
    (void)state;
    struct rule_options rule = {.query = "debug", .service = "debugging"};
    assert_named(rule, "/?debug=1", "", "debugging");
    assert_none(rule, "/?debug=", "");
    assert_none(rule, "/?debug", "");
}

static void path_is_a_prefix_on_a_segment_boundary(void **state)
{
    (void)state;
    struct rule_options rule = {.path = "/api/billing", .service = "billing"};
    assert_named(rule, "/api/billing", "", "billing");
    assert_named(rule, "/api/billing/", "", "billing");
    assert_named(rule, "/api/billing/x", "", "billing");
    assert_named(rule, "/api/billing?q", "", "billing");
    assert_named(rule, "http://h/api/billing#f", "", "billing");
    assert_none(rule, "/api/billing2", "");
    assert_none(rule, "/api", "");
    assert_none(rule, "/x/api/billing", "");
    assert_none(rule, "h:443", "");
}

static void paths_are_compared_as_written(void **state)
{
    (void)state;
    struct rule_options rule = {.path = "/api/billing", .service = "billing"};
    assert_none(rule, "/api%2Fbilling", "");
    assert_none(rule, "/api/%62illing", "");
    assert_none(rule, "/API/billing", "");
    assert_none(rule, "//api/billing", "");
    assert_none(rule, "/api/./billing", "");
    assert_named((struct rule_options){.path = "/%62", .service = "b"}, "/%62/", "", "b");
    assert_named((struct rule_options){.path = "/a//b", .service = "b"}, "/a//b", "", "b");
}

static void a_slash_at_the_end_makes_no_difference(void **state)
{
    (void)state;
    struct rule_options rule = {.path = "/tenants/{service}/"};
    assert_named(rule, "/tenants/a", "", "a");
    assert_named(rule, "/tenants/a/", "", "a");
    assert_named(rule, "/tenants/a/x", "", "a");
    assert_none(rule, "/tenants", "");
    assert_none(rule, "/tenants/", "");
    assert_none(rule, "/tenants//x", "");
}

static void the_root_takes_every_path(void **state)
{
    (void)state;
    struct rule_options rule = {.path = "/", .service = "all"};
    assert_named(rule, "/", "", "all");
    assert_named(rule, "//", "", "all");
    assert_named(rule, "http://h", "", "all");
    assert_none(rule, "*", "");
    assert_none(rule, "h:443", "");
}

static void a_segment_names_the_service_decoded(void **state)
{
    (void)state;
    struct rule_options rule = {.path = "/t/{service}/x"};
    assert_named(rule, "/t/%61+b/x", "", "a+b");
    assert_named(rule, "/t/%61-b/x?q", "", "a-b");
    assert_none(rule, "/t/a/y", "");
    assert_none(rule, "/t/a", "");
}

static void hosts_are_exact_below_or_a_label(void **state)
{
    (void)state;
    struct rule_options exact = {.host = "a.b", .service = "x"};
    assert_named(exact, "/", "a.b", "x");
    assert_none(exact, "/", "c.a.b");
    assert_none(exact, "/", "");

    struct rule_options below = {.host = "*.b", .service = "x"};
    assert_named(below, "/", "a.b", "x");
    assert_named(below, "/", "c.a.b", "x");
    assert_none(below, "/", "b");
    assert_none(below, "/", ".b");
    assert_none(below, "/", "ab");

    struct rule_options label = {.host = "{service}.b"};
    assert_named(label, "/", "a.b", "a");
    assert_none(label, "/", "c.a.b");
    assert_none(label, "/", ".b");
    assert_none(label, "/", "b");
}

static void hosts_are_without_case_port_and_last_dot(void **state)
{
    (void)state;
    assert_named((struct rule_options){.host = "A.b.", .service = "x"}, "/", "a.B:80", "x");
    assert_named((struct rule_options){.host = "a.b", .service = "x"}, "/", " a.b. ", "x");
    assert_named((struct rule_options){.host = "{service}.B"}, "/", "ALICE.b.:80", "alice");
    assert_named((struct rule_options){.host = "[::A]", .service = "x"}, "/", "[::a]:80", "x");
}

static void the_targets_host_comes_first(void **state)
{
    (void)state;
    struct rule_options rule = {.host = "{service}.b"};
    assert_named(rule, "http://u@target.b:80/x", "header.b", "target");
    assert_named(rule, "target.b:443", "header.b", "target");
    assert_none(rule, "http://other/x", "header.b");
    assert_named(rule, "http:///x", "header.b", "header");
    assert_named(rule, "*", "header.b", "header");
}

static void a_host_longer_than_hosts_are_is_none(void **state)
{
    (void)state;
    char host[258];
    memset(host, 'a', sizeof(host));
    strcpy(host + sizeof(host) - 3, ".b"); /* 257 bytes */
    struct rule_options rule = {.host = "*.b", .service = "x"};
    assert_named(rule, "/", host + 2, "x");
    assert_none(rule, "/", host + 1);
}

static void all_conditions_must_hold(void **state)
{
    (void)state;
    struct rule_options rule = {.query = "q", .path = "/img", .host = "*.b", .service = "x"};
    assert_named(rule, "/img/1?q=1", "a.b", "x");
    assert_none(rule, "/img/1?q=", "a.b");
    assert_none(rule, "/i?q=1", "a.b");
    assert_none(rule, "/img?q=1", "b");
}

static void a_rule_without_conditions_takes_all(void **state)
{
    (void)state;
    struct rule_options rule = {.service = "rest"};
    assert_named(rule, "*", "", "rest");
    assert_named(rule, "", "", "rest");
}

static void the_first_rule_that_matches_wins(void **state)
{
    (void)state;
    const struct rule_options rules[] = {
        {.path = "/a/b", .host = "h", .service = "0"},
        {.query = "s"},
        {.path = "/a/{service}"},
        {.path = "/a", .service = "3"},
        {.service = "4"},
    };
    AUTO(rule_set_free) struct rule_set *set = compiled(rules, 5);
    struct service_name name;
    assert_int_equal(match(set, BYTES("/a/b?s=x"), BYTES("h"), &name), 0);
    assert_int_equal(match(set, BYTES("/a/b?s=x"), BYTES(""), &name), 1);
    assert_int_equal(match(set, BYTES("/a/b"), BYTES(""), &name), 2);
    assert_int_equal(match(set, BYTES("/a/"), BYTES(""), &name), 3);
    assert_int_equal(match(set, BYTES("/"), BYTES(""), &name), 4);
}

static void no_rules_match_nothing(void **state)
{
    (void)state;
    AUTO(rule_set_free) struct rule_set *set = compiled(NULL, 0);
    struct service_name name;
    assert_int_equal(match(set, BYTES("/?s=a"), BYTES("h"), &name), RULE_NONE);
}

static void long_values_keep_their_names_apart(void **state)
{
    (void)state;
    char target[2][10000];
    struct service_name name[2];
    struct rule_options rule = {.query = "s"};
    AUTO(rule_set_free) struct rule_set *set = compiled(&rule, 1);
    for (int i = 0; i < 2; i++) {
        memset(target[i], 'x', sizeof(target[i]));
        memcpy(target[i], "/?s=", 4);
        target[i][sizeof(target[i]) - 1] = (char)('a' + i);
        assert_int_equal(match(set, bytes_make(target[i], sizeof(target[i])), BYTES(""), &name[i]),
                         0);
    }
    assert_string_not_equal(name[0].text, name[1].text);
}

static void assert_error(const struct rule_options *rules, size_t count, const char *message)
{
    struct rule_set *set = NULL;
    struct rule_error error = {.rule = 99};
    assert_int_equal(rule_set_new(&set, rules, count, &error), -EINVAL);
    assert_null(set);
    assert_string_equal(error.message, message);
    assert_int_equal(error.rule, count - 1);
}

static void assert_malformed(struct rule_options rule, const char *message)
{
    assert_error(&rule, 1, message);
}

static void malformed_rules_are_errors(void **state)
{
    (void)state;
    assert_malformed((struct rule_options){.query = ""}, "query is empty: \"\"");
    assert_malformed((struct rule_options){.query = "a\n"},
                     "query has a control character: \"a\\x0a\"");
    assert_malformed((struct rule_options){.path = "", .service = "x"},
                     "path does not begin with \"/\": \"\"");
    assert_malformed((struct rule_options){.path = "api", .service = "x"},
                     "path does not begin with \"/\": \"api\"");
    assert_malformed((struct rule_options){.path = "/\x7f", .service = "x"},
                     "path has a control character: \"/\\x7f\"");
    assert_malformed((struct rule_options){.path = "/a?b", .service = "x"},
                     "path has a blank, \"?\" or \"#\", which is never part of one: \"/a?b\"");
    assert_malformed((struct rule_options){.path = "/a{service}/"},
                     "braces in a path: only a whole segment \"{service}\": \"/a{service}/\"");
    assert_malformed((struct rule_options){.path = "/{tenant}", .service = "x"},
                     "braces in a path: only a whole segment \"{service}\": \"/{tenant}\"");
    assert_malformed((struct rule_options){.service = "_other"},
                     "service is not 1 to 64 of \"A-Za-z0-9._-\", or looks like one of the agent's "
                     "own: \"_other\"");
    assert_malformed((struct rule_options){.service = ""},
                     "service is not 1 to 64 of \"A-Za-z0-9._-\", or looks like one of the agent's "
                     "own: \"\"");
}

static void malformed_hosts_are_errors(void **state)
{
    (void)state;
    const char *hosts[] = {"",     "*",   "*.",    "a.*",       ".b",         "a..b",
                           "a:80", "a b", "*b",    "*.*.b",     "[::1]:80",   "a.{service}",
                           "[]",   "a/b", "a.b..", "{service}", "{service}b", "*.[::1]"};
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        char message[256];
        snprintf(message, sizeof(message),
                 "host is not a name like \"a.b\", \"*.b\", \"{service}.b\" or \"[::1]\", without "
                 "port: \"%s\"",
                 hosts[i]);
        assert_malformed((struct rule_options){.host = hosts[i], .service = "x"}, message);
    }
}

static void conditions_that_are_too_long_are_errors(void **state)
{
    (void)state;
    char text[300];
    char message[512];
    memset(text, 'a', sizeof(text));
    text[256] = '\0';
    snprintf(message, sizeof(message), "query is longer than 255 bytes: \"%.80s...\"", text);
    assert_malformed((struct rule_options){.query = text}, message);
    snprintf(message, sizeof(message), "host is longer than 255 bytes: \"%.80s...\"", text);
    assert_malformed((struct rule_options){.host = text, .service = "x"}, message);
    for (size_t i = 0; i < 2 * 65; i++)
        text[i] = "/a"[i % 2];
    text[2 * 65] = '\0';
    snprintf(message, sizeof(message), "path has more than 64 segments: \"%.80s...\"", text);
    assert_malformed((struct rule_options){.path = text, .service = "x"}, message);
    text[2 * 64] = '\0';
    assert_named((struct rule_options){.path = text, .service = "x"}, text, "", "x");
}

static void the_service_is_named_exactly_once(void **state)
{
    (void)state;
    assert_malformed((struct rule_options){.path = "/a"},
                     "rule without service, query or {service}: { path = \"/a\"; }");
    assert_malformed((struct rule_options){0}, "rule without service, query or {service}: { }");
    assert_malformed((struct rule_options){.path = "/{service}", .service = "x"},
                     "rule that names its service more than once: "
                     "{ path = \"/{service}\"; service = \"x\"; }");
    assert_malformed((struct rule_options){.path = "/{service}/{service}"},
                     "rule that names its service more than once: "
                     "{ path = \"/{service}/{service}\"; }");
    assert_malformed((struct rule_options){.query = "s", .host = "{service}.b"},
                     "rule that names its service more than once: "
                     "{ query = \"s\"; host = \"{service}.b\"; }");
}

static void rules_that_never_match_are_errors(void **state)
{
    (void)state;
    const struct rule_options pairs[][2] = {
        {{.query = "s"}, {.query = "s"}},
        {{.query = "s"}, {.query = "s", .path = "/a", .service = "x"}},
        {{.service = "x"}, {.host = "a"}},
        {{.path = "/", .service = "x"}, {.query = "s"}},
        {{.path = "/a/", .service = "x"}, {.path = "/a", .service = "y"}},
        {{.path = "/a", .service = "x"}, {.path = "/a/b", .service = "y"}},
        {{.path = "/{service}"}, {.path = "/a/b", .service = "y"}},
        {{.host = "*.b", .service = "x"}, {.host = "A.b", .service = "y"}},
        {{.host = "*.b", .service = "x"}, {.host = "*.a.b", .service = "y"}},
        {{.host = "*.b", .service = "x"}, {.host = "{service}.b"}},
        {{.host = "{service}.b"}, {.host = "a.b", .service = "y"}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct rule_options rules[2] = {pairs[i][0], pairs[i][1]};
        if (rules[1].host && !rules[1].service && !strstr(rules[1].host, "{service}"))
            rules[1].service = "y";
        struct rule_set *set;
        struct rule_error error;
        assert_int_equal(rule_set_new(&set, rules, 2, &error), -EINVAL);
        assert_int_equal(error.rule, 1);
        assert_memory_equal(error.message, "rule that never matches, for rule 1 takes", 41);
    }
    assert_error((const struct rule_options[]){{.query = "s"}, {.query = "s", .path = "/a"}}, 2,
                 "rule that never matches, for rule 1 takes all it would: "
                 "{ query = \"s\"; path = \"/a\"; }");
}

static void rules_that_may_match_are_not_errors(void **state)
{
    (void)state;
    const struct rule_options rules[] = {
        {.query = "s"},
        {.query = "t", .path = "/a", .service = "x"},
        {.path = "/a/{service}/c"},
        {.path = "/a/b", .service = "x"},
        {.path = "/a/{service}"},
        {.path = "/a//x", .service = "x"},
        {.path = "/a", .service = "x"},
        {.path = "/ab", .service = "x"},
        {.host = "a.b", .service = "x"},
        {.host = "{service}.b"},
        {.host = "c.a.b", .service = "x"},
        {.host = "*.b", .service = "x"},
        {.host = "b", .service = "x"},
        {.host = "bab", .service = "x"},
        {.path = "/", .service = "x"},
        {.service = "x"},
    };
    rule_set_free(compiled(rules, ARRAY_SIZE(rules)));
}

static void too_many_rules_are_an_error(void **state)
{
    (void)state;
    struct rule_options *rules = calloc(RULES_MAX + 1, sizeof(*rules));
    char(*paths)[16] = calloc(RULES_MAX + 1, sizeof(*paths));
    assert_non_null(rules);
    assert_non_null(paths);
    for (size_t i = 0; i <= RULES_MAX; i++) {
        snprintf(paths[i], sizeof(paths[i]), "/%zu", i);
        rules[i] = (struct rule_options){.path = paths[i], .service = "x"};
    }
    assert_error(rules, RULES_MAX + 1, "more than 10000 rules");
    rule_set_free(compiled(rules, RULES_MAX));
    free(rules);
    free(paths);
}

/*
 * The shadow: requests are made of parts, the parts are compared with the rules
 * one by one, the compiled rules see them written out.
 */
struct parts {
    char host[32]; /* lower case */
    char path[32];
    size_t parameter_count;
    struct {
        const char *name, *value;
    } parameters[5];
    char target[512]; /* as written */
    char header[64];
};

static const char *pick(const char *const *from, size_t count)
{
    return from[(size_t)rand() % count];
}

#define PICK(...)                                                                                  \
    pick((const char *const[]){__VA_ARGS__}, ARRAY_SIZE(((const char *const[]){__VA_ARGS__})))

static bool chance(int one_in)
{
    return rand() % one_in == 0;
}

static void append(char *to, size_t size, const char *text)
{
    size_t used = strlen(to);
    assert_true(used + strlen(text) < size);
    strcpy(to + used, text);
}

#define APPEND(to, text) append(to, sizeof(to), text)

/* Write @text as a form might, some of it escaped without need. */
static void append_encoded(char *to, size_t size, const char *text)
{
    for (; *text; text++) {
        char escape[4] = {*text};
        if (*text == ' ' && chance(2))
            escape[0] = '+';
        else if (strchr(" &=%+#", *text) || chance(4))
            snprintf(escape, sizeof(escape), chance(2) ? "%%%02x" : "%%%02X", (unsigned char)*text);
        append(to, size, escape);
    }
}

/* Write @host in whatever case, with a dot or a port. */
static void append_host(char *to, size_t size, const char *host, const char *port)
{
    for (; *host; host++)
        append(to, size, (char[]){chance(4) && *host >= 'a' ? (char)(*host - 32) : *host, '\0'});
    append(to, size, chance(4) ? "." : "");
    append(to, size, port);
}

static void write_path_and_query(struct parts *p)
{
    APPEND(p->target, p->path);
    for (size_t i = 0; i < p->parameter_count; i++) {
        APPEND(p->target, i == 0 ? "?" : chance(5) ? "&&" : "&");
        append_encoded(p->target, sizeof(p->target), p->parameters[i].name);
        APPEND(p->target, *p->parameters[i].value || chance(2) ? "=" : "");
        append_encoded(p->target, sizeof(p->target), p->parameters[i].value);
    }
    APPEND(p->target, chance(8) ? "#?s=fragment" : "");
}

/* Write @p as a request in one of the forms that it can have. */
static void write_request(struct parts *p)
{
    p->target[0] = p->header[0] = '\0';
    if (*p->path && (!*p->host || chance(2))) {
        write_path_and_query(p);
        append_host(p->header, sizeof(p->header), p->host, PICK("", ":80", ":"));
    } else if (*p->path) {
        APPEND(p->target, PICK("http://", "HTTPS://", "ws://u:p@"));
        append_host(p->target, sizeof(p->target), p->host, PICK("", ":80", ":"));
        write_path_and_query(p);
        APPEND(p->header, PICK("", "a.b", "x.c"));
    } else if (*p->host && chance(2)) {
        append_host(p->target, sizeof(p->target), p->host, ":443");
        APPEND(p->header, PICK("", "a.b", "x.c"));
    } else {
        APPEND(p->target, "*");
        append_host(p->header, sizeof(p->header), p->host, PICK("", ":80", ":"));
    }
}

static struct parts random_parts(void)
{
    struct parts p = {0};
    if (chance(10))
        APPEND(p.host, "[::1]");
    else if (!chance(8))
        for (int labels = 1 + rand() % 4; labels > 0; labels--) {
            APPEND(p.host, PICK("a", "b", "c", "ab"));
            APPEND(p.host, labels > 1 ? "." : "");
        }
    if (chance(8))
        return p;

    for (int segments = 1 + rand() % 5; segments > 0; segments--) {
        APPEND(p.path, "/");
        APPEND(p.path, PICK("a", "b", "ab", "", "%61", "c"));
    }
    for (p.parameter_count = (size_t)rand() % 5; chance(3) && p.parameter_count;
         p.parameter_count--)
        ;
    for (size_t i = 0; i < p.parameter_count; i++) {
        p.parameters[i].name = PICK("s", "t", "a b", "S", "");
        p.parameters[i].value = PICK("", "yo", "a&b=", "%41", "x y");
    }
    return p;
}

static const char *shadow_query(const struct parts *p, const char *name)
{
    const char *value = "";
    for (size_t i = 0; i < p->parameter_count; i++)
        if (strcmp(p->parameters[i].name, name) == 0)
            value = p->parameters[i].value;
    return *value ? value : NULL;
}

/* Whether @path is taken; @value becomes the segment at "{service}". */
static bool shadow_path(const char *pattern, const char *path, char *value)
{
    if (!*path)
        return false;
    while (*pattern && strcmp(pattern, "/") != 0) {
        if (*path != '/')
            return false;
        size_t expected = strcspn(++pattern, "/"), size = strcspn(++path, "/");
        if (strncmp(pattern, "{service}", 9) == 0) {
            if (size == 0)
                return false;
            memcpy(value, path, size);
            value[size] = '\0';
        } else if (expected != size || memcmp(pattern, path, size) != 0) {
            return false;
        }
        pattern += expected;
        path += size;
    }
    return true;
}

static bool shadow_host(const char *pattern, const char *host, char *value)
{
    bool label = strncmp(pattern, "{service}.", 10) == 0;
    if (!label && strncmp(pattern, "*.", 2) != 0)
        return strcasecmp(pattern, host) == 0;

    const char *suffix = strchr(pattern, '.');
    if (strlen(host) <= strlen(suffix))
        return false;
    size_t front = strlen(host) - strlen(suffix);
    if (strcasecmp(host + front, suffix) != 0)
        return false;
    if (label) {
        memcpy(value, host, front);
        value[front] = '\0';
        return !strchr(value, '.');
    }
    return true;
}

static bool shadow_takes(const struct rule_options *r, const struct parts *p, char *value)
{
    const char *parameter = r->query ? shadow_query(p, r->query) : NULL;
    if (r->query && !parameter)
        return false;
    if (parameter)
        strcpy(value, parameter);
    char segment[32] = "";
    if (r->path && !shadow_path(r->path, p->path, segment))
        return false;
    uint8_t decoded[32];
    size_t size = percent_decode(decoded, bytes_from_string(segment), PERCENT_URI);
    if (size) {
        memcpy(value, decoded, size);
        value[size] = '\0';
    }
    if (r->host && !shadow_host(r->host, p->host, value))
        return false;
    if (r->service)
        strcpy(value, r->service);
    return true;
}

static int shadow_match(const struct rule_options *rules, size_t count, const struct parts *p,
                        char *value)
{
    for (size_t i = 0; i < count; i++)
        if (shadow_takes(&rules[i], p, value))
            return (int)i;
    return RULE_NONE;
}

static struct rule_options random_rule(void)
{
    struct rule_options r = {0};
    if (chance(3))
        r.query = PICK("s", "t", "a b");
    if (chance(2))
        r.path =
            PICK("/", "/a", "/a/", "/a/b", "/a/{service}", "/{service}", "/{service}/b", "/a//b",
                 "/b", "/ab/", "/a/b/{service}/c", "/%61", "/a/{service}/b/a", "/b/a");
    if (chance(2))
        r.host = PICK("a.b", "b", "*.b", "*.a.b", "{service}.b", "{service}.a.b", "a.a.b", "*.c",
                      "A.C", "[::1]", "*.ab", "bab");
    if (chance(2))
        r.service = PICK("x", "y", "z");
    return r;
}

/* A request of which the rule takes all it must have, and nothing it need not have. */
static struct parts witness_of(const struct rule_options *r)
{
    struct parts p = {0};
    if (r->query) {
        p.parameters[0].name = r->query;
        p.parameters[0].value = "witness";
        p.parameter_count = 1;
        APPEND(p.path, r->path ? "" : "/");
    }
    for (const char *c = r->path ? r->path : ""; *c;) {
        bool placeholder = strncmp(c, "{service}", 9) == 0;
        APPEND(p.path, placeholder ? "w" : ((char[]){*c, '\0'}));
        c += placeholder ? 9 : 1;
    }
    const char *host = r->host ? r->host : "";
    if (strchr("*{", *host)) {
        APPEND(p.host, *host == '*' ? "v.w" : *host ? "w" : "");
        host += strcspn(host, ".");
    }
    for (; *host; host++)
        APPEND(p.host, ((char[]){(char)tolower(*host), '\0'}));
    return p;
}

static void assert_like_the_shadow(const struct rule_set *set, const struct rule_options *rules,
                                   size_t count, struct parts *p)
{
    char value[64] = "";
    struct service_name name, expected;
    write_request(p);
    int rule = match(set, bytes_from_string(p->target), bytes_from_string(p->header), &name);
    int shadow = shadow_match(rules, count, p, value);
    if (rule != shadow)
        fail_msg("%s at \"%s\": rule %d, not %d", p->target, p->header, rule, shadow);
    if (rule == RULE_NONE)
        return;
    service_name_make(&expected, bytes_from_string(value));
    assert_string_equal(name.text, expected.text);
}

static enum rule_verdict shadow_verdict(const struct rule_options *r, const struct parts *p,
                                        bool taken)
{
    char value[64];
    if (r->query && !shadow_query(p, r->query))
        return RULE_QUERY_FAILS;
    if (r->host && !shadow_host(r->host, p->host, value))
        return RULE_HOST_FAILS;
    if (r->path && !shadow_path(r->path, p->path, value))
        return RULE_PATH_FAILS;
    return taken ? RULE_TOO_LATE : RULE_TAKES;
}

/* What is said of each rule is what the shadow says, and the one that takes @p matches it. */
static void assert_explained(const struct rule_set *set, const struct rule_options *rules,
                             const struct parts *p)
{
    enum rule_verdict verdicts[RANDOM_RULES_MAX];
    struct rule_request request = {bytes_from_string(p->target), bytes_from_string(p->header)};
    assert_int_equal(rule_set_explain(set, &request, verdicts), 0);
    int taker = RULE_NONE;
    for (size_t i = 0; i < rule_set_count(set); i++) {
        assert_int_equal(verdicts[i], shadow_verdict(&rules[i], p, taker != RULE_NONE));
        if (verdicts[i] == RULE_TAKES)
            taker = (int)i;
    }
    struct service_name name;
    assert_int_equal(taker, rule_set_match(set, &request, &name));
}

/* @rules's last was rejected: if as one that never matches, the shadow must agree. */
static void assert_rightly_rejected(const struct rule_options *rules, size_t count,
                                    const struct rule_error *error)
{
    assert_int_equal(error->rule, count - 1);
    if (!strstr(error->message, "never matches"))
        return;
    char value[64];
    struct parts witness = witness_of(&rules[count - 1]);
    assert_int_not_equal(shadow_match(rules, count, &witness, value), count - 1);
}

static void assert_described(struct rule_options rule, const char *expected)
{
    AUTO(rule_set_free) struct rule_set *set = compiled(&rule, 1);
    AUTO(text_deinit) struct text t = {0};
    rule_set_describe(set, 0, &t);
    assert_string_equal(t.data, expected);
}

static void rules_are_described_as_the_config_writes_them(void **state)
{
    (void)state;
    assert_described((struct rule_options){.query = "s"}, "{ query = \"s\"; }");
    assert_described((struct rule_options){.service = "rest"}, "{ service = \"rest\"; }");
    assert_described((struct rule_options){.path = "/", .service = "a"},
                     "{ path = \"/\"; service = \"a\"; }");
    assert_described((struct rule_options){.path = "/t/{service}/", .host = "*.A.b."},
                     "{ host = \"*.a.b\"; path = \"/t/{service}\"; }");
    assert_described((struct rule_options){.host = "{service}.a", .query = NULL},
                     "{ host = \"{service}.a\"; }");
}

static void random_rules_match_and_explain_as_the_shadow_does(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    printf("seed %u\n", seed);
    srand(seed);
    size_t accepted = 0, matched = 0;

    for (int round = 0; round < 2000; round++) {
        struct rule_options rules[RANDOM_RULES_MAX];
        size_t count = 0;
        for (int tries = 0; tries < 30 && count < ARRAY_SIZE(rules); tries++) {
            AUTO(rule_set_free) struct rule_set *set = NULL;
            struct rule_error error;
            rules[count] = random_rule();
            if (rule_set_new(&set, rules, count + 1, &error) < 0) {
                assert_rightly_rejected(rules, count + 1, &error);
                continue;
            }
            char value[64];
            struct parts witness = witness_of(&rules[count]);
            assert_int_equal(shadow_match(rules, count + 1, &witness, value), count);
            count++;
            assert_like_the_shadow(set, rules, count, &witness);
        }
        AUTO(rule_set_free) struct rule_set *set = compiled(rules, count);
        for (int i = 0; i < 50; i++) {
            char value[64];
            struct parts p = random_parts();
            assert_like_the_shadow(set, rules, count, &p);
            assert_explained(set, rules, &p);
            matched += shadow_match(rules, count, &p, value) != RULE_NONE;
        }
        accepted += count;
    }
    assert_true(accepted > 6000); /* or the test says nothing */
    assert_true(matched > 30000);
}

/* A sanitizer's memrchr() looks at all it might have to, which is quadratic. */
#ifndef __SANITIZE_ADDRESS__
static double seconds_to_match(const struct rule_set *set, struct bytes target)
{
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        struct timespec start, end;
        struct service_name name;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
        match(set, target, BYTES("a.b"), &name);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
        double seconds =
            (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
        best = MIN(best, seconds);
    }
    return best;
}

static void hostile_requests_cost_linear_time(void **state)
{
    (void)state;
    const struct rule_options rules[] = {
        {.query = "s", .path = "/x"}, {.path = "/{service}/a/b"},        {.path = "/a/{service}/b"},
        {.host = "{service}.b"},      {.host = "*.c.b", .service = "x"},
    };
    const char *units[] = {
        "/", "/a", "&", "s&", "s=&", "=", "%", "%73=", "+", ".", "a.", ":", "@", "#", "?"};
    const char *fronts[] = {"/", "/x?", "http://", "", "/?s="};
    AUTO(rule_set_free) struct rule_set *set = compiled(rules, ARRAY_SIZE(rules));
    uint8_t *text = malloc(GUARD_SIZE);
    assert_non_null(text);

    for (size_t i = 0; i < ARRAY_SIZE(units) * ARRAY_SIZE(fronts); i++) {
        const char *unit = units[i % ARRAY_SIZE(units)], *front = fronts[i / ARRAY_SIZE(units)];
        for (size_t at = 0; at < GUARD_SIZE; at++)
            text[at] = (uint8_t)(at < strlen(front) ? front[at]
                                                    : unit[(at - strlen(front)) % strlen(unit)]);
        double small = seconds_to_match(set, bytes_make(text, GUARD_SIZE / 16));
        double large = seconds_to_match(set, bytes_make(text, GUARD_SIZE));
        if (large > 64 * small && large > 0.01) /* linear: 16, quadratic: 256 */
            fail_msg("\"%s\" and many \"%s\": %g s, of 16 times as many %g s", front, unit, small,
                     large);
    }
    free(text);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(query_names_the_service),
        cmocka_unit_test(the_last_value_wins_even_if_empty),
        cmocka_unit_test(query_is_decoded_as_a_form),
        cmocka_unit_test(query_with_a_service_is_a_condition),
        cmocka_unit_test(path_is_a_prefix_on_a_segment_boundary),
        cmocka_unit_test(paths_are_compared_as_written),
        cmocka_unit_test(a_slash_at_the_end_makes_no_difference),
        cmocka_unit_test(the_root_takes_every_path),
        cmocka_unit_test(a_segment_names_the_service_decoded),
        cmocka_unit_test(hosts_are_exact_below_or_a_label),
        cmocka_unit_test(hosts_are_without_case_port_and_last_dot),
        cmocka_unit_test(the_targets_host_comes_first),
        cmocka_unit_test(a_host_longer_than_hosts_are_is_none),
        cmocka_unit_test(all_conditions_must_hold),
        cmocka_unit_test(a_rule_without_conditions_takes_all),
        cmocka_unit_test(the_first_rule_that_matches_wins),
        cmocka_unit_test(no_rules_match_nothing),
        cmocka_unit_test(long_values_keep_their_names_apart),
        cmocka_unit_test(malformed_rules_are_errors),
        cmocka_unit_test(malformed_hosts_are_errors),
        cmocka_unit_test(conditions_that_are_too_long_are_errors),
        cmocka_unit_test(the_service_is_named_exactly_once),
        cmocka_unit_test(rules_that_never_match_are_errors),
        cmocka_unit_test(rules_that_may_match_are_not_errors),
        cmocka_unit_test(too_many_rules_are_an_error),
        cmocka_unit_test(rules_are_described_as_the_config_writes_them),
        cmocka_unit_test(random_rules_match_and_explain_as_the_shadow_does),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(hostile_requests_cost_linear_time),
#endif
    };
    guard_init(&target_guard, GUARD_SIZE);
    guard_init(&host_guard, 1024);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    guard_deinit(&host_guard);
    guard_deinit(&target_guard);
    return failed;
}
