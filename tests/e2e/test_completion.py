#!/usr/bin/python3
"""Completion in bash, zsh and fish: each shell itself is asked what it offers."""

import os
import pathlib
import pty
import re
import select
import shlex
import subprocess
import tempfile
import unittest

from harness import HTTPACCT, PATIENCE_S, TOP, httpacct, main, require, run

COMPLETION = TOP / "packaging/completion"
COMMANDS = {"status", "reload", "rules", "top"}
FORMS = {"table", "json", "events", "transactions", "none"}


def all_options():
    """Every option that httpacct -h lists."""
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z]*(?=[ ,])", httpacct("-h").stdout, re.IGNORECASE))


class Shell:
    """What is common to the cases; each shell below says how it is asked."""

    def test_every_option(self):
        self.assertLessEqual(all_options(), self.offers("-") | self.offers("--"))

    def test_commands(self):
        self.assertLessEqual(COMMANDS, self.offers(""))
        self.assertIn("reload", self.offers("-c /etc/httpacct.conf rel"))

    def test_option_of_a_command(self):
        self.assertLessEqual({"--json", "--socket"}, self.offers("status --"))
        self.assertNotIn("--socket", self.offers("rules --"))
        self.assertLessEqual({"--interval", "--socket"}, self.offers("top --"))
        self.assertNotIn("--json", self.offers("top --"))
        self.assertLessEqual({"--pid", "--socket"}, self.offers("reload --"))

    def test_forms(self):
        self.assertLessEqual(FORMS, self.offers("--print "))

    def test_interfaces(self):
        self.assertIn("lo", self.offers("-i "))

    def test_files(self):
        for option in ("-c", "--read", "--socket"):
            self.assertIn("README.md", self.offers(f"{option} READ"))


class BashTest(Shell, unittest.TestCase):
    def offers(self, words):
        line = shlex.split(f"httpacct {words}") + [""] * (words == "" or words[-1] == " ")
        script = (f"compopt() {{ :; }}; . {COMPLETION}/httpacct.bash; COMP_WORDS=({shlex.join(line)});"
                  f"COMP_CWORD={len(line) - 1}; _httpacct; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        return set(run("bash", "--norc", "-c", script, cwd=TOP).stdout.split())


class FishTest(Shell, unittest.TestCase):
    def offers(self, words):
        script = f"source {COMPLETION}/httpacct.fish; complete -C 'httpacct {words}'"
        lines = run("fish", "--no-config", "-c", script, cwd=TOP).stdout.splitlines()
        return {line.split("\t")[0] for line in lines}


class ZshTest(Shell, unittest.TestCase):
    # Tab prints what would be added to the line, instead, and ends the shell.
    SETUP = f"""
        fpath=({COMPLETION} $fpath); autoload -U compinit; compinit -u -D
        compadd() {{
            [[ ${{@[1,(i)(-|--)]}} == *-(O|A|D)\\ * ]] && {{ builtin compadd "$@"; return }}
            local -a hits; builtin compadd -A hits "$@"; print -rl -- $hits
        }}
        offer() {{ print -r -- '<<<'; _main_complete; print -r -- '>>>'; exit }}
        zle -C offer complete-word offer
        bindkey '^I' offer
        PS1=READY
    """

    def offers(self, words):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, ".zshrc").write_text(self.SETUP)
            shown = self.type(f"httpacct {words}\t", folder)
        return set(shown.split("<<<")[1].split(">>>")[0].split())

    def type(self, text, folder):
        """What zsh shows from its start to its end; the text is typed at its prompt."""
        terminal, inside = pty.openpty()
        shell = subprocess.Popen(["zsh", "-d", "-i"], stdin=inside, stdout=inside, stderr=inside,
                                 cwd=TOP, env={**os.environ, "TERM": "dumb", "ZDOTDIR": folder},
                                 start_new_session=True)
        os.close(inside)
        self.addCleanup(os.close, terminal)
        self.addCleanup(shell.wait)
        self.addCleanup(shell.kill)
        shown = b""
        while select.select([terminal], [], [], PATIENCE_S)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # it has ended
                return shown.decode()
            if text and b"READY" in shown:
                os.write(terminal, text.encode())
                text = ""
        self.fail(f"zsh hangs: {shown}")


require("bash", "zsh", "fish")
main()
