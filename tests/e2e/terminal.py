"""A terminal for the end-to-end tests: a program in tmux, its screen read back."""

import os
import pathlib
import shlex

from harness import run, wait_for


class Terminal:
    """A program on a terminal of its own. When it has ended, its exit status is on the screen,
    and what it made of the terminal's settings is known."""

    def __init__(self, test, command, columns=80, rows=24, term="screen", locale="C.UTF-8"):
        test.started += 1
        self.folder = test.folder / f"{test.started}-terminal"
        self.folder.mkdir()
        self.socket = self.folder / "tmux"
        words = shlex.join(str(part) for part in command)
        inner = f"echo $$ >{self.folder}/pid; exec env TERM={term} {words}"
        script = (f"stty -g >{self.folder}/before; sh -c {shlex.quote(inner)}; "
                  f'echo "ended with $?"; stty -g >{self.folder}/after; exec cat')
        environment = {**os.environ, "LC_ALL": locale, "TERM": "screen"}
        environment.pop("TMUX", None)
        run("tmux", "-u", "-S", self.socket, "-f", "/dev/null", "new-session", "-d",
            "-x", columns, "-y", rows, script, env=environment)
        test.addCleanup(self.tmux, "kill-server")

    def tmux(self, *command):
        return run("tmux", "-u", "-S", self.socket, *command).stdout

    def press(self, *keys):
        """Keys by tmux's names: "Tab", "Escape", "x"."""
        self.tmux("send-keys", *keys)

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", columns, "-y", rows)

    def lines(self):
        return self.tmux("capture-pane", "-p").split("\n")[:-1]

    def wait_for(self, condition, what):
        """Wait until condition(lines of the screen) gives something true, and return that."""
        try:
            return wait_for(lambda: condition(self.lines()), what)
        except AssertionError as error:
            screen = "\n".join(self.lines())
            raise AssertionError(f"{error} on:\n{screen}") from error

    def wait_for_words(self, words):
        self.wait_for(lambda lines: words in "\n".join(lines), f"'{words}'")

    def signal(self, number):
        os.kill(int(pathlib.Path(self.folder, "pid").read_text()), number)

    def is_as_before(self):
        """Whether the program left the terminal as it was."""
        before, after = (pathlib.Path(self.folder, name).read_text() for name in
                         ("before", "after"))
        flags = self.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").strip()
        return (before, flags) == (after, "0 1")
