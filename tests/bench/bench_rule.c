/*
 * What it costs to find the rule of a request, with 10 and with 1000 rules, for
 * rules that differ in their host, path, query, and all of them mixed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/rule.h"

enum { FEW = 10, MANY = 1000, REQUESTS = 4096, ROUNDS = 200 };

/* Writes the rule or the request number @number. */
struct kind {
    const char *name;
    const char *query, *path, *host; /* formats of a number, NULL: none */
};

static const struct kind kinds[] = {
    {"hosts", NULL, NULL, "tenant%zu.example.com"},
    {"wildcard hosts", NULL, NULL, "*.tenant%zu.example.com"},
    {"hosts, one path", NULL, "/api/v1", "tenant%zu.example.com"},
    {"paths", NULL, "/api/v1/product%zu", NULL},
    {"paths, one host", NULL, "/api/v1/product%zu", "www.example.com"},
    {"queries", "parameter%zu", NULL, NULL},
    {"queries, one host and path", "parameter%zu", "/api/v1", "www.example.com"},
    {"all of them", "parameter%zu", "/api/v1/product%zu", "tenant%zu.example.com"},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

struct texts {
    char query[64], path[64], host[64];
};

static const char *write_condition(char *to, size_t size, const char *format, size_t number)
{
    if (!format)
        return NULL;
    const char *at = strstr(format, "%zu");
    if (at)
        snprintf(to, size, "%.*s%zu%s", (int)(at - format), format, number, at + 3);
    else
        snprintf(to, size, "%s", format);
    return to;
}

static struct rule_options write_rule(const struct kind *k, size_t number, struct texts *t)
{
    return (struct rule_options){
        .query = write_condition(t->query, sizeof(t->query), k->query, number),
        .path = write_condition(t->path, sizeof(t->path), k->path, number),
        .host = write_condition(t->host, sizeof(t->host), k->host, number),
        .service = "x",
    };
}

struct request {
    char target[256], host[80];
};

/* Three of four requests meet a rule, the fourth comes close to one. */
static void write_request(struct request *r, const struct kind *k, size_t number)
{
    struct texts t;
    struct rule_options rule = write_rule(k, number, &t);
    const char *host = rule.host ? rule.host : "www.example.com";
    snprintf(r->target, sizeof(r->target), "%s/index.html?lang=en&%s=value&page=2",
             rule.path ? rule.path : "/static", rule.query ? rule.query : "id");
    snprintf(r->host, sizeof(r->host), "%s%s", host[0] == '*' ? "a.b" : "",
             host[0] == '*' ? host + 1 : host);
    if (number % 4 == 0)
        r->host[0] = r->target[1] = 'z';
}

/* The rules are all of kind @only, or of each kind in turn. */
static const struct kind *kind_of(const struct kind *only, size_t number)
{
    return only ? only : &kinds[number % KINDS];
}

static struct rule_set *compile(const struct kind *only, size_t count)
{
    struct rule_options *rules = calloc(count, sizeof(*rules));
    struct texts *texts = calloc(count, sizeof(*texts));
    struct rule_set *set;
    struct rule_error error;
    if (!rules || !texts)
        abort();
    for (size_t i = 0; i < count; i++)
        rules[i] = write_rule(kind_of(only, i), i, &texts[i]);
    if (rule_set_new(&set, rules, count, &error) < 0) {
        fprintf(stderr, "rule %zu: %s\n", error.rule, error.message);
        exit(1);
    }
    free(rules);
    free(texts);
    return set;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static double measure(const struct kind *only, size_t count)
{
    static struct request requests[REQUESTS];
    struct rule_set *set = compile(only, count);
    for (size_t i = 0; i < REQUESTS; i++)
        write_request(&requests[i], kind_of(only, i % count), i % count);

    size_t matched = 0;
    uint64_t best_ns = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start_ns = now_ns();
        for (size_t i = 0; i < REQUESTS; i++) {
            struct service_name name;
            struct rule_request request = {
                .target = bytes_from_string(requests[i].target),
                .host = bytes_from_string(requests[i].host),
            };
            matched += rule_set_match(set, &request, &name) != RULE_NONE;
        }
        uint64_t spent_ns = now_ns() - start_ns;
        best_ns = spent_ns < best_ns ? spent_ns : best_ns;
    }
    rule_set_free(set);
    if (matched == 0)
        abort();
    return (double)best_ns / REQUESTS;
}

static void compare(const char *name, const struct kind *only)
{
    double few = measure(only, FEW), many = measure(only, MANY);
    printf("%-28s %8.0f ns %8.0f ns %6.2f\n", name, few, many, many / few);
}

int main(void)
{
    printf("%-28s %5d rules %5d rules  ratio\n", "rules by", FEW, MANY);
    for (size_t i = 0; i < KINDS; i++)
        compare(kinds[i].name, &kinds[i]);
    compare("each in turn", NULL);
    return 0;
}
