"""nginx and Apache httpd for the end-to-end tests: configured, started, and read back."""

import collections
import re

from harness import run, wait_for

NGINX_MODULE = "/usr/lib/nginx/modules/ngx_http_echo_module.so"

NGINX_CONF = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
load_module {module};
events {{ worker_connections 4096; }}
http {{
    log_format counts '$arg_s $status $request_length $bytes_sent $request';
    access_log {folder}/access.log counts;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    client_max_body_size 0;
    keepalive_requests 1000000;
    sendfile on;
    server {{
        {listen}
        root {folder}/www;
        location / {{ }}
        location /chunked {{
            default_type text/plain;
            echo_duplicate 1000 "sixteen bytes...";
            echo_flush;
            echo_duplicate 3000 "sixteen bytes...";
            echo_flush;
            echo "the end";
        }}
        location /upload {{
            default_type text/plain;
            echo_read_request_body;
            echo "taken";
        }}
    }}
}}
"""

APACHE_CONF = """
ServerRoot {folder}
ServerName localhost
PidFile {folder}/httpd.pid
ErrorLog {folder}/error.log
Listen 8080
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
DocumentRoot {folder}/www
"""


class LogLine:
    """What nginx says of one request."""

    PATTERN = re.compile(r"(\S+) (\d+) (\d+) (\d+) (.*)")

    def __init__(self, line):
        service, status, request, reply, self.request_line = self.PATTERN.match(line).groups()
        self.service = "_unspecified" if service == "-" else service
        self.status, self.request_bytes, self.reply_bytes = int(status), int(request), int(reply)


class Nginx:
    SIZES = {"small": 100, "m32": 32 * 1024, "big": 100 * 1000 * 1000}

    def __init__(self, test, namespace, listen=("80",)):
        self.folder = test.folder / f"nginx-{namespace.name}"
        (self.folder / "www").mkdir(parents=True)
        for name, size in self.SIZES.items():
            with (self.folder / "www" / name).open("wb") as file:
                file.truncate(size)
        self.log = self.folder / "access.log"
        conf = self.folder / "nginx.conf"
        conf.write_text(NGINX_CONF.format(
            folder=self.folder, module=NGINX_MODULE,
            listen=" ".join(f"listen {address};" for address in listen)))
        self.program = test.start(namespace, "nginx", "-c", conf, "-e", self.folder / "error.log")
        wait_for_port(self.program, namespace, listen[0])

    def lines(self):
        return [LogLine(line) for line in self.log.read_text().splitlines()]

    def requests(self):
        return collections.Counter(line.service for line in self.lines())

    def check_services(self, test, totals, times=1):
        """What httpacct counted on so many interfaces that all passed is what the log has."""
        logged = collections.defaultdict(collections.Counter)
        for line in self.lines():
            logged[line.service].update(requests=times, payload_in=times * line.request_bytes,
                                        payload_out=times * line.reply_bytes)
        seen = {name: collections.Counter(requests=service["requests"],
                                          payload_in=service["in"]["payload"],
                                          payload_out=service["out"]["payload"])
                for name, service in totals.services.items()}
        test.assertEqual(seen, dict(logged))

    def check_requests(self, test, totals):
        """Each service had those that the log has."""
        test.assertEqual({name: service["requests"] for name, service in totals.services.items()},
                         dict(self.requests()))

    def check_replies(self, test, totals):
        """Status classes and payload, by service: what nginx sent and got, to the byte."""
        expected = collections.defaultdict(collections.Counter)
        for line in self.lines():
            expected[line.service].update({
                "in": line.request_bytes, "out": line.reply_bytes, f"{line.status // 100}xx": 1})
        for name, service in totals.services.items():
            seen = collections.Counter(service["replies"])
            seen.update({"in": service["in"]["payload"], "out": service["out"]["payload"]})
            test.assertEqual(+seen, +expected[name], name)
            test.assertEqual(service["unanswered"], 0, name)

    def wait_for_requests(self, count):
        """nginx writes its line after the reply has gone."""
        wait_for(lambda: len(self.lines()) >= count, f"{count} lines in the access log")


class Apache:
    def __init__(self, test, namespace):
        self.folder = test.folder / "apache"
        (self.folder / "www").mkdir(parents=True)
        conf = self.folder / "httpd.conf"
        conf.write_text(APACHE_CONF.format(folder=self.folder))
        self.program = test.start(namespace, "apache2", "-X", "-f", conf)
        wait_for_port(self.program, namespace, "8080")


def wait_for_port(program, namespace, listen):
    port = listen.rsplit(":", 1)[-1]
    program.wait_until(
        lambda: run(*namespace.command("ss", "-Hltn", f"sport = :{port}")).stdout,
        f"a listener on {listen}")
