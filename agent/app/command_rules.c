#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/explain.h"
#include "base/log.h"
#include "core/target.h"

int command_rules(const struct rule_set *rules, const char *url, const char *host, bool json)
{
    struct target parts;
    target_split(&parts, bytes_from_string(url));
    if (!parts.path.size && !parts.host.size) {
        log_error("'%s': use a path, or http://HOST/PATH", url);
        return EXIT_FAILURE;
    }
    const struct rule_request request = {
        .target = bytes_from_string(url),
        .host = bytes_from_string(host ? host : ""),
    };
    struct text t = {0};
    int error =
        json ? explain_as_json(&t, rules, &request) : explain_for_people(&t, rules, &request);
    t.failed |= error < 0;
    return command_print(&t);
}
