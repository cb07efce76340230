/*
 * Random rules against a shadow: requests are made of parts, the parts are
 * compared with the rules one by one, the compiled rules see them written out.
 */
#include "core/rule.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "core/percent.h"
#include "support/rules.h"

enum { RANDOM_RULES_MAX = 12 };

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
    int rule = rules_match(set, bytes_from_string(p->target), bytes_from_string(p->header), &name);
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
        AUTO(rule_set_free) struct rule_set *set = rules_compiled(rules, count);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_rules_match_and_explain_as_the_shadow_does),
    };
    return cmocka_run_group_tests(tests, rules_begin, rules_end);
}
