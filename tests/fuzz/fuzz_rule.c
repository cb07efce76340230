/*
 * Any target and host against rules of all kinds, and any text as a rule. The
 * input is lines: target, host, then the conditions of a rule.
 */
#include "core/rule.h"

#include <errno.h>
#include <stdlib.h>

#include "fuzz/fuzz.h"

const struct bytes fuzz_seeds[] = {
    BYTES("/x?a=b&s=%41+c;s=\nlocalhost:80\ns\n\n\n"),
    BYTES("/tenants/%2e%2e/x\nA.Shop.Example.\n\n/a/{service}/b\n\n"),
    BYTES("http://u:p@Acme.cust.example:1/img?s\n\n\n/img\n*.shop.example\nname"),
    BYTES("*\n[::1]:80\n\n\n{service}.cust.example\n"),
    BYTES("host:443\n\n%41\n/api/billing/\n\n_x"),
};
const size_t fuzz_seed_count = ARRAY_SIZE(fuzz_seeds);

static const struct rule_options rules[] = {
    {.query = "s"},
    {.path = "/tenants/{service}/"},
    {.path = "/api/billing", .service = "billing"},
    {.host = "*.shop.example", .path = "/img", .service = "shop-images"},
    {.host = "{service}.cust.example"},
};

static void check_name(const struct service_name *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = strlen(name->text);
    FUZZ_ASSERT(size >= 1 && size <= SERVICE_NAME_MAX);
    FUZZ_ASSERT(strspn(name->text, allowed) == size);
    FUZZ_ASSERT(strcmp(name->text, SERVICE_UNKNOWN) != 0);
    FUZZ_ASSERT(strcmp(name->text, SERVICE_UNSPECIFIED) != 0);
    FUZZ_ASSERT(strcmp(name->text, SERVICE_OTHER) != 0);
}

static void match(const struct rule_set *s, struct bytes target, struct bytes host)
{
    struct service_name name;
    if (rule_set_match(s, &(struct rule_request){target, host}, &name) != RULE_NONE)
        check_name(&name);
}

static struct bytes take_line(struct bytes *in)
{
    const uint8_t *end = in->size ? memchr(in->data, '\n', in->size) : NULL;
    struct bytes line = bytes_take(in, end ? (size_t)(end - in->data) : in->size);
    bytes_take(in, 1);
    return line;
}

/* A copy of a line as a string, NULL for an empty one. */
static char *take_word(struct bytes *in)
{
    struct bytes line = take_line(in);
    return line.size ? strndup((const char *)line.data, line.size) : NULL;
}

static void compile(struct bytes *in, struct bytes target, struct bytes host)
{
    char *words[4];
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        words[i] = take_word(in);
    struct rule_options option = {words[0], words[1], words[2], words[3]};
    struct rule_error error;
    struct rule_set *s = NULL;
    int result = rule_set_new(&s, &option, 1, &error);
    FUZZ_ASSERT(result == 0 || (result == -EINVAL && error.message[0]));
    if (result == 0)
        match(s, target, host);
    rule_set_free(s);
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        free(words[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rule_set *all;
    struct rule_error error;
    if (!all && rule_set_new(&all, rules, ARRAY_SIZE(rules), &error) < 0)
        abort();
    struct bytes in = bytes_make(data, size);
    struct bytes target = take_line(&in);
    struct bytes host = take_line(&in);
    match(all, target, host);
    compile(&in, target, host);
    return 0;
}
