"""What takes metrics in, as operators run it: started in a namespace, and read back."""

import collections
import json
import re

from packages import npm_package
from servers import wait_for_port

STATSD_PACKAGE = "statsd@0.9.0"

# A backend that writes what each flush of statsd has, and each packet, one line of JSON.
JSON_BACKEND = """
const fs = require('fs');
exports.init = function (started, config, events) {
    events.on('flush', function (time, metrics) {
        fs.appendFileSync(config.json.file, JSON.stringify(
            {time, counters: metrics.counters, gauges: metrics.gauges}) + '\\n');
    });
    const packets = fs.openSync(config.json.packets, 'a');
    events.on('packet', function (packet) {
        fs.writeSync(packets, JSON.stringify(packet.toString()) + '\\n');
    });
    return true;
};
"""

COLLECTD_CONF = """
Hostname "collectd"
FQDNLookup false
BaseDir "{folder}"
PIDFile "{folder}/collectd.pid"
PluginDir "/usr/lib/collectd"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin logfile
<Plugin logfile>
    LogLevel info
    File "{folder}/log"
</Plugin>
LoadPlugin statsd
<Plugin statsd>
    Host "127.0.0.1"
    Port "8125"
    DeleteCounters false
    CounterSum true
</Plugin>
LoadPlugin csv
<Plugin csv>
    DataDir "{folder}/csv"
    StoreRates false
</Plugin>
"""

NETDATA_CONF = """
[global]
    run as user = root
[directories]
    cache = {folder}/cache
    lib = {folder}/lib
    log = {folder}/log
[db]
    mode = ram
    update every = 1
    retention = 600
[web]
    bind to = 127.0.0.1:19999
[ml]
    enabled = no
[health]
    enabled = no
[registry]
    enabled = no
[plugins]
    proc = no
    diskspace = no
    cgroups = no
    tc = no
    idlejitter = no
    timex = no
    profile = no
    enable running new plugins = no
    go.d = no
    python.d = no
    charts.d = no
    apps = no
    statsd = yes
    checks = no
[statsd]
    bind to = udp:127.0.0.1:8125
    update every (flushInterval) = 1
    max private charts hard limit = 20000
    create private charts for metrics matching = httpacct.*
    gaps on counters (deleteCounters) = no
"""

CARBON_CONF = """
[cache]
STORAGE_DIR = {folder}/
LOCAL_DATA_DIR = {folder}/whisper/
CONF_DIR = {folder}/conf/
LOG_DIR = {folder}/log/
PID_DIR = {folder}/
USER =
MAX_CREATES_PER_MINUTE = inf
MAX_UPDATES_PER_SECOND = inf
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = 2003
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = 2004
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = 7002
ENABLE_TAGS = True
GRAPHITE_URL = http://127.0.0.1:8080
CARBON_METRIC_INTERVAL = 0
"""

CARBON_SCHEMAS = """
[all]
pattern = .*
retentions = 1s:1h
"""

CARBON_AGGREGATION = """
[count]
pattern = .*
xFilesFactor = 0
aggregationMethod = sum
"""

GRAPHITE_SETTINGS = """
SECRET_KEY = 'test'
TIME_ZONE = 'UTC'
GRAPHITE_ROOT = '/usr/share/graphite-web'
CONF_DIR = '/etc/graphite'
STORAGE_DIR = '{folder}'
WHISPER_DIR = '{folder}/whisper'
STANDARD_DIRS = ['{folder}/whisper']
LOG_DIR = '{folder}'
INDEX_FILE = '{folder}/index'
CARBONLINK_HOSTS = ['127.0.0.1:7002']
DATABASES = {{'default': {{'NAME': '{folder}/db', 'ENGINE': 'django.db.backends.sqlite3'}}}}
ALLOWED_HOSTS = ['*']
"""


def receive_errors(namespace):
    """Datagrams that a full socket buffer lost."""
    snmp = namespace.run("cat", "/proc/net/snmp").stdout
    names, values = re.findall(r"^Udp: (.*)$", snmp, re.MULTILINE)
    return int(dict(zip(names.split(), values.split()))["RcvbufErrors"])


class Statsd:
    """The statsd of npm. What it has not flushed when it ends is lost."""

    def __init__(self, test, namespace, *, backends=(), **options):
        self.test, self.namespace = test, namespace
        self.folder = test.folder / "statsd"
        self.folder.mkdir()
        self.flushes_path = self.folder / "flushes"
        self.flushes_path.touch()
        self.packets_path = self.folder / "packets"
        self.packets_path.touch()
        (self.folder / "backend.js").write_text(JSON_BACKEND)
        (self.folder / "conf.js").write_text(json.dumps({
            "port": 8125, "address": "127.0.0.1", "mgmt_address": "127.0.0.1",
            "flushInterval": 1000, "automaticConfigReload": False, "deleteIdleStats": True,
            "backends": [str(self.folder / "backend.js"), *backends],
            "json": {"file": str(self.flushes_path), "packets": str(self.packets_path)},
            **options}))
        self.start()

    def start(self):
        program = npm_package(STATSD_PACKAGE) / "stats.js"
        self.program = self.test.start(self.namespace, "node", program, self.folder / "conf.js")
        self.wait_for_flushes(1)

    def stop(self):
        self.program.stop()

    def kill(self):
        self.program.kill()

    def packets(self):
        """As they were taken in."""
        return [json.loads(line) for line in self.packets_path.read_text().splitlines()]

    def flushes(self):
        return [json.loads(line) for line in self.flushes_path.read_text().splitlines()]

    def wait_for_flushes(self, count):
        """Until all that came before is in a flush, wait for two."""
        before = len(self.flushes())
        self.program.wait_until(lambda: len(self.flushes()) >= before + count, "a flush of statsd")

    def counters(self):
        totals = collections.Counter()
        for flush in self.flushes():
            totals.update(flush["counters"])
        return totals

    def gauges(self):
        return {name: value for flush in self.flushes() for name, value in flush["gauges"].items()}

    def bad_lines(self):
        return self.counters()["statsd.bad_lines_seen"]


class Collectd:
    def __init__(self, test, namespace):
        self.folder = test.folder / "collectd"
        self.folder.mkdir()
        conf = self.folder / "collectd.conf"
        conf.write_text(COLLECTD_CONF.format(folder=self.folder))
        self.program = test.start(namespace, "collectd", "-f", "-C", conf)
        self.program.wait_until(lambda: "Initialization complete" in self.log(), "collectd")

    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def counters(self):
        """Totals, as of the last interval."""
        totals = {}
        for path in self.folder.glob("csv/collectd/statsd/derive-*"):
            name = re.match(r"derive-(.*)-\d{4}-\d\d-\d\d$", path.name)[1]
            values = re.findall(r",(\d+)\n", path.read_text())
            totals[name] = int(values[-1]) if values else 0
        return totals

    def bad_lines(self):
        return self.log().count("Unable to parse line")


class Netdata:
    URL = "http://127.0.0.1:19999/api/v1/allmetrics?format=prometheus" \
          "&source=as-collected&timestamps=no"

    def __init__(self, test, namespace):
        self.namespace = namespace
        self.folder = test.folder / "netdata"
        for name in ("cache", "lib", "log"):
            (self.folder / name).mkdir(parents=True)
        conf = self.folder / "netdata.conf"
        conf.write_text(NETDATA_CONF.format(folder=self.folder))
        self.program = test.start(namespace, "netdata", "-D", "-c", conf)
        self.program.wait_until(lambda: self.read() is not None, "netdata")

    def read(self):
        result = self.namespace.run("curl", "-sS", self.URL, check=False)
        return result.stdout if result.returncode == 0 else None

    @staticmethod
    def spell(name):
        """What netdata makes of a name."""
        return name.replace(".", "_").replace("-", "_")

    def counters(self):
        pattern = r"^netdata_statsd_(\w+)_counter_total\{.*\} (\d+)"
        return {name: int(value) for name, value in re.findall(pattern, self.read(), re.MULTILINE)}

    def bad_lines(self):
        path = self.folder / "log/error.log"
        return path.read_text().count("STATSD: metric") if path.exists() else 0


class Graphite:
    """carbon, and graphite-web in front of it."""

    URL = "http://127.0.0.1:8080"
    STATSD_OPTIONS = {"backends": ["./backends/graphite"], "graphiteHost": "127.0.0.1",
                      "graphitePort": 2003, "graphite": {"legacyNamespace": False}}

    def __init__(self, test, namespace):
        self.test, self.namespace = test, namespace
        self.folder = test.folder / "graphite"
        conf = self.folder / "conf"
        for folder in (conf, self.folder / "whisper", self.folder / "log"):
            folder.mkdir(parents=True)
        (conf / "carbon.conf").write_text(CARBON_CONF.format(folder=self.folder))
        (conf / "storage-schemas.conf").write_text(CARBON_SCHEMAS)
        (conf / "storage-aggregation.conf").write_text(CARBON_AGGREGATION)
        (self.folder / "graphite_here.py").write_text(
            GRAPHITE_SETTINGS.format(folder=self.folder))
        self.carbon = test.start(namespace, "carbon-cache", f"--config={conf}/carbon.conf",
                                 "--nodaemon", "start")
        wait_for_port(self.carbon, namespace, "2003")
        self.web = self.start_web()
        wait_for_port(self.web, namespace, "8080")

    def start_web(self):
        django = ("env", f"PYTHONPATH={self.folder}:/usr/lib/python3/dist-packages",
                  "DJANGO_SETTINGS_MODULE=graphite.settings",
                  "GRAPHITE_SETTINGS_MODULE=graphite_here", "/usr/bin/python3", "-m", "django")
        self.namespace.run(*django, "migrate", "--run-syncdb")
        return self.test.start(self.namespace, *django, "runserver", "--noreload",
                               "127.0.0.1:8080")

    def get(self, path, *parameters):
        data = [part for parameter in parameters for part in ("--data-urlencode", parameter)]
        return self.namespace.run("curl", "-sS", "-G", *data, self.URL + path).stdout

    def render(self, target, *parameters):
        """The points of the last hour that have a value, by name of the series."""
        answer = json.loads(self.get("/render", "format=json", "from=-1h", f"target={target}",
                                     *parameters))
        return {series["target"]: [value for value, _ in series["datapoints"] if value is not None]
                for series in answer}

    def sum(self, target):
        """All of the series, over the last hour; None if there is none."""
        points = [value for values in self.render(target).values() for value in values]
        return sum(points) if points else None
