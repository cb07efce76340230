#!/usr/bin/python3
"""layering.py SOURCE: includes point one way, base <- core <- io <- app.

Prints each include of agent/ that points the wrong way, that is not by its full
path, or that brings into a lower layer what belongs to an upper one.
"""

import pathlib
import re
import sys

LAYERS = ("base", "core", "io", "app")

# The lowest layer that may include headers that begin so. What the filter shares with the
# agent, "bpf/", is types and constants; <bpf/> is libbpf.
LOWEST = {
    '"bpf/': "core", "<bpf/": "io", "<cap-ng.h": "io", "<seccomp.h": "io",
    "<linux/landlock": "io", '"filter.skel.h': "io", "<linux/bpf": "io", "<linux/if_": "io",
    "<net/if": "io", "<netpacket/": "io", "<pcap": "io", "<poll.h": "io",
    "<sys/mman.h": "io", "<sys/socket.h": "io", "<sys/time.h": "io", "<systemd/": "io",
    "<unistd.h": "io", "<fcntl.h": "io", "<uv.h": "io", "<libconfig.h": "app", "<getopt.h": "app",
    "<jansson": "app",
}
NOT_IN_CORE = ("base/log.h", "pthread.h", "syslog.h", "time.h")  # core is pure

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)')


def complaint(layer, quote, header):
    if quote == '"' and "/" not in header and header != "filter.skel.h":
        return "not by its full path"
    if layer == "core" and header in NOT_IN_CORE:
        return "core does without"
    first = header.split("/")[0]
    needs = [first] if first in LAYERS else []
    needs += [lowest for prefix, lowest in LOWEST.items() if (quote + header).startswith(prefix)]
    for lowest in needs:
        if LAYERS.index(lowest) > LAYERS.index(layer):
            return f"{layer} is below {lowest}"
    return None


def main():
    agent = pathlib.Path(sys.argv[1], "agent")
    includes = bad = 0
    for layer in LAYERS:
        for path in sorted((agent / layer).rglob("*.[ch]")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                includes += 1
                why = complaint(layer, *found.groups())
                if why:
                    bad += 1
                    print(f"{path.relative_to(agent.parent)}:{number}: {found[2]}: {why}")
    print(f"{includes} includes, {bad} wrong")
    return bad != 0 or includes == 0


sys.exit(main())
