#!/usr/bin/python3
"""The agent ends soon, whatever those do that it sends to."""

import signal
import socket

from harness import HTTPACCT, PATIENCE_S, LabTest, main, require, require_root


class EndTest(LabTest):
    def listen(self, namespace):
        """A name server that says nothing."""
        with namespace.entered():
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        server.bind(("127.0.0.1", 53))
        server.settimeout(PATIENCE_S)
        return server

    def start_agent_that_knows(self, namespace, resolver, outputs):
        """The agent, with @resolver as its /etc/resolv.conf."""
        path = self.folder / "resolv.conf"
        path.write_text(resolver)
        self.config.write_text(outputs)
        return self.start(namespace, "unshare", "-m", "sh", "-c",
                          'mount --bind "$0" /etc/resolv.conf && exec "$@"', path,
                          HTTPACCT, "-c", self.config, "-i", "lo", "--print", "json")

    def test_name_server_that_does_not_answer_holds_up_no_end(self):
        """The C library would wait for 150 seconds."""
        lab = self.namespace("lab")
        server = self.listen(lab)
        agent = self.start_agent_that_knows(
            lab, "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n",
            'statsd = ( { address = "stats.example.com"; } );'
            'syslog = { address = "tcp://logs.example.com"; };')
        server.recv(65536)
        self.assertEqual(agent.stop(signal.SIGTERM), 0)
        self.assertIn('"final":true', agent.out)


require_root()
require("ip", "mount", "unshare")
main()
