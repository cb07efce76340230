#!/usr/bin/python3
"""The command line: exit codes, and errors of one line that say what is wrong."""

import shutil
import subprocess

import frames
from harness import HTTPACCT, TOP, LabTest, httpacct, main, require, require_root, run

NOBODY = 65534


class CommandLineTest(LabTest):
    def fails(self, *options, says, command=(HTTPACCT,)):
        result = run(*command, *options, check=False)
        self.assertNotEqual(result.returncode, 0, f"{options} succeeded")
        self.assertEqual(result.stdout, "", f"{options} printed something")
        self.assertEqual(len(result.stderr.splitlines()), 1, f"{options}: {result.stderr}")
        for part in says:
            self.assertIn(part, result.stderr)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def empty_capture(self):
        path = self.folder / "empty.pcap"
        path.write_bytes(frames.PCAP_HEADER)
        return path

    def without_rights(self):
        """A command that runs httpacct as nobody, from where nobody can read it."""
        copy = shutil.copy(HTTPACCT, self.folder)
        return ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                "--bounding-set=-all", "--inh-caps=-all", copy)

    def test_help_goes_to_standard_output(self):
        result = httpacct("-h")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for option in ("-c", "-i", "-r", "-t", "--print", "--interval", "-v", "-V", "-h"):
            self.assertIn(option, result.stdout)

    def test_version_is_one_line(self):
        result = httpacct("-V")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertRegex(result.stdout, r"^httpacct \d+\.\d+\.\d+\n$")

    def test_unknown_option(self):
        self.fails("--no-such-option", says=["--no-such-option"])
        self.fails("-Z", says=["-Z"])

    def test_bad_value_of_an_option(self):
        self.fails("--print", "picture", says=["picture"])
        self.fails("--interval", "soon", says=["soon"])
        self.fails("--interval", "0", says=["0"])

    def test_option_without_its_value(self):
        self.fails("-r", says=["-r"])

    def test_argument_that_belongs_to_no_option(self):
        self.fails("eth0", says=["eth0"])

    def test_unknown_interface(self):
        self.fails("-i", "nosuchif0", says=["nosuchif0"])

    def test_capture_that_is_not_there(self):
        path = self.folder / "no.pcap"
        self.fails("-r", path, says=[str(path)])

    def test_capture_that_is_none(self):
        path = self.write("text.pcap", "this is no capture file, only text of some length\n")
        self.fails("-r", path, says=[str(path)])

    def test_capture_that_may_not_be_read(self):
        path = self.write("secret.pcap", "")
        path.chmod(0)
        self.fails("-r", path, says=[str(path)], command=self.without_rights())

    def test_watching_without_rights(self):
        self.fails("-i", "lo", says=["root"], command=self.without_rights())

    def test_reading_a_capture_needs_no_rights(self):
        path = self.empty_capture()
        path.chmod(0o644)
        result = run(*self.without_rights(), "-r", path, "--print", "json")
        self.assertIn('"final":true', result.stdout)

    def test_output_that_is_lost_is_an_error(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run([HTTPACCT, "-r", self.empty_capture(), "--print", "json"],
                                    stdout=full, stderr=subprocess.PIPE)
        self.assertNotEqual(result.returncode, 0)

    def test_config_that_is_good(self):
        path = self.write("good.conf", 'rules = ( { query = "s"; } );\n')
        result = httpacct("-t", "-c", path)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("OK", result.stdout + result.stderr)

    def test_config_as_installed_is_good(self):
        result = httpacct("-t", "-c", TOP / "conf/httpacct.conf")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_config_that_is_not_there(self):
        path = self.folder / "no.conf"
        self.fails("-t", "-c", path, says=[str(path)])

    def test_config_error_names_file_line_and_text(self):
        for number, (text, quoted) in enumerate((
                ('\nrule = ();\n', "rule"),
                ('\nsessions = { timeout = "long"; };\n', "timeout"),
                ('\nsessions = { max = -1; };\n', "-1"),
                ('\nservices = { max = 10000000000; };\n', "10000000000"),
                ('\nrules = ( { querry = "s"; } );\n', "querry"),
                ('\nrules = ( { path = "no-slash"; service = "x"; } );\n', "no-slash"),
                ('\nrules = ( { path = "/a"; } );\n', "/a"),
                ('\ninterfaces = ( { name = "lo"; ports = [ 0 ]; } );\n', "0"),
                ('\nsessions = { timeout = ; };\n', ""))):
            with self.subTest(text=text):
                path = self.write(f"{number}.conf", text)
                self.fails("-t", "-c", path, says=[f"{path}:2", quoted])

    def test_rule_that_can_never_match(self):
        path = self.write("shadowed.conf", """rules = (
            { path = "/a"; service = "first"; },
            { path = "/a/b"; service = "second"; }
        );
        """)
        self.fails("-t", "-c", path, says=[f"{path}:3"])

    def test_bad_config_stops_the_start(self):
        path = self.write("bad.conf", "nonsense = 1;\n")
        self.fails("-c", path, "-i", "lo", says=[f"{path}:1", "nonsense"])


require_root()
require("setpriv")
main()
