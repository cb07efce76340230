#include "io/endpoint.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "base/macros.h"

static bool take_prefix(const char **text, const char *prefix)
{
    size_t size = strlen(prefix);
    if (strncmp(*text, prefix, size) != 0)
        return false;
    *text += size;
    return true;
}

static const char *parse_path(struct endpoint *e, const char *path)
{
    if (path[0] != '/')
        return "needs a path from the root: unix:///PATH";
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return "has a path that is too long for a socket";
    strcpy(e->host, path);
    return NULL;
}

static const char *parse_port(struct endpoint *e, const char *port)
{
    size_t digits = strspn(port, "0123456789");
    if (digits == 0 || port[digits] != '\0' || digits > ENDPOINT_PORT_MAX)
        return "has a port that is no number";
    long number = strtol(port, NULL, 10);
    if (number < 1 || number > 65535)
        return "has a port that is not from 1 to 65535";
    snprintf(e->port, sizeof(e->port), "%ld", number);
    return NULL;
}

/* What may stand in a name or an address; the resolver knows the rest. */
static bool is_host(struct bytes host)
{
    for (size_t i = 0; i < host.size; i++)
        if (host.data[i] <= ' ' || host.data[i] >= 0x7f || strchr("/[]@?#", host.data[i]))
            return false;
    return host.size > 0;
}

static const char *set_host(struct endpoint *e, struct bytes host)
{
    if (!is_host(host))
        return "has no host, or one that can't be";
    if (host.size > ENDPOINT_HOST_MAX)
        return "has a host that is too long";
    memcpy(e->host, host.data, host.size);
    e->host[host.size] = '\0';
    return NULL;
}

/* "[ADDRESS]", "[ADDRESS]:PORT": @text begins behind the first bracket. */
static const char *split_bracketed(const char *text, struct bytes *host, const char **port)
{
    const char *end = strchr(text, ']');
    if (!end || (end[1] != '\0' && end[1] != ':'))
        return "has brackets that don't match";
    *host = bytes_make(text, (size_t)(end - text));
    *port = end[1] == ':' ? end + 2 : NULL;
    return NULL;
}

static const char *split(const char *text, struct bytes *host, const char **port)
{
    if (take_prefix(&text, "["))
        return split_bracketed(text, host, port);
    const char *colon = strchr(text, ':');
    if (colon && strchr(colon + 1, ':'))
        return "is an IPv6 address without brackets";
    *host = bytes_make(text, colon ? (size_t)(colon - text) : strlen(text));
    *port = colon ? colon + 1 : NULL;
    return NULL;
}

static const char *parse_host_and_port(struct endpoint *e, const char *text,
                                       const char *default_port)
{
    struct bytes host;
    const char *port;
    const char *wrong = split(text, &host, &port);
    if (!wrong)
        wrong = set_host(e, host);
    if (wrong)
        return wrong;
    if (!port)
        port = default_port;
    return port ? parse_port(e, port) : "has no port";
}

const char *endpoint_parse(struct endpoint *out, const char *text, const char *default_port)
{
    struct endpoint e = {.transport = ENDPOINT_UDP};
    const char *wrong = NULL;
    if (take_prefix(&text, "unix://")) {
        e.transport = ENDPOINT_UNIX;
        wrong = parse_path(&e, text);
    } else {
        if (take_prefix(&text, "tcp://"))
            e.transport = ENDPOINT_TCP;
        else if (take_prefix(&text, "udp://"))
            e.transport = ENDPOINT_UDP;
        else if (strstr(text, "://"))
            return "must begin with udp://, tcp:// or unix://";
        wrong = parse_host_and_port(&e, text, default_port);
    }
    if (!wrong)
        *out = e;
    return wrong;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    bool same_host = a->transport == ENDPOINT_UNIX ? strcmp(a->host, b->host) == 0
                                                   : strcasecmp(a->host, b->host) == 0;
    return a->transport == b->transport && same_host && strcmp(a->port, b->port) == 0;
}
