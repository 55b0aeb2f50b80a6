"""Files that an operator names and that are not what they seem: nothing waits for them, words tell them apart."""
import os
import shutil
import signal
import socket
import subprocess
import time
import unittest
from unittest import mock

from harness import edge as edge_process
from harness import scene
from harness.edge import run
from harness.messages import request
from harness.programs import find

# stat(2) of a path that contains $HANGING does not return while the file $HANGING_WHILE is there; it leaves
# $HANGING_SEEN.
HANGING_FILE_SYSTEM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int stat(const char* path, struct stat* status) {
  int (*next)(const char*, struct stat*) = (int (*)(const char*, struct stat*))dlsym(RTLD_NEXT, "stat");
  while (strstr(path, getenv("HANGING")) != 0 && access(getenv("HANGING_WHILE"), F_OK) == 0) {
    close(open(getenv("HANGING_SEEN"), O_CREAT | O_WRONLY, 0600));
    usleep(10000);
  }
  return next(path, status);
}
"""


class OddFilesTest(scene.SceneTest):

    def odd_files(self):
        """{kind: path}, none of which is a regular file that could be read."""
        folder = os.path.join(self.folder, "odd-%d" % time.monotonic_ns())
        os.mkdir(folder)
        fifo, link, folder_in, huge = (os.path.join(folder, name) for name in ("fifo", "link", "folder", "huge"))
        os.mkfifo(fifo)
        os.symlink("fifo", link)
        os.mkdir(folder_in)
        with open(huge, "wb") as out:
            out.truncate(1 << 40)
        os.chmod(huge, 0o600)
        path = os.path.join(folder, "socket")
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(path)
        return {"is a FIFO": fifo, "is a socket": path, "is a directory": folder_in, "is a device": "/dev/zero",
                "longer than": huge, "is a FIFO; name": link, "does not exist": os.path.join(folder, "nothing")}

    def check(self, path, *changes):
        config = self.usual_config()
        for change in changes:
            config = edge_process.merge(config, change)
        with open(path, "w", encoding="utf-8") as out:
            out.write(edge_process.toml(config))
        done = run("check", "--config", path, timeout=20.0)
        return done.returncode, done.stdout + done.stderr

    def test_each_key_refuses_what_is_no_regular_file_by_its_kind(self):
        path = os.path.join(self.folder, "odd.toml")
        for words, odd in self.odd_files().items():
            for key in ("certificate", "certificate-key", "trusted-ca", "secret"):
                if words == "is a directory" and key == "trusted-ca":
                    continue  # A folder of CAs.
                changes = ({"edge": {"secret": "file:" + odd}} if key == "secret"
                           else {"tls.federation": {key: odd}})
                with self.subTest(key=key, kind=words):
                    code, said = self.check(path, changes)
                    self.assertEqual(code, 2, said)
                    self.assertIn(odd, said)
                    self.assertIn(words, said)

    def test_the_configuration_itself(self):
        for words, odd in self.odd_files().items():
            for command in ("check", "run"):
                with self.subTest(command=command, kind=words):
                    done = run(command, "--config", odd, timeout=20.0)
                    self.assertEqual(done.returncode, 2)
                    self.assertIn(words, done.stdout + done.stderr)

    def test_a_folder_of_authorities_leaves_out_what_is_no_file(self):
        folder = os.path.join(self.folder, "mixed")
        os.mkdir(folder)
        shutil.copy(self.authority.path, os.path.join(folder, "ca.pem"))
        for number, (words, odd) in enumerate(self.odd_files().items()):
            os.symlink(odd, os.path.join(folder, "%d.pem" % number))
            code, said = self.check(os.path.join(self.folder, "mixed.toml"), {"tls.federation": {"trusted-ca": folder}})
            self.assertEqual(code, 1, said)
            self.assertIn(words.split(";")[0], said)

    def test_a_reload_goes_past_a_fifo_and_signals_are_answered(self):
        folder = os.path.join(self.folder, "reloaded")
        os.mkdir(folder)
        shutil.copy(self.authority.path, os.path.join(folder, "ca.pem"))
        edge = self.another_edge({"tls.federation": {"trusted-ca": folder}})
        os.mkfifo(os.path.join(folder, "x.pem"))
        edge.reload({}, result="ok")
        self.assertIn("x.pem: is a FIFO", edge.log())
        os.remove(os.path.join(folder, "ca.pem"))
        os.mkfifo(os.path.join(folder, "ca.pem"))
        edge.reload({}, result="rejected")
        with self.client(port=edge.port) as client:
            self.assertEqual(client.exchange(request()).status, 200)
        edge.terminate()
        self.assertEqual(edge.wait_exit(), 0)

    def test_unreadable_is_not_missing(self):
        if os.geteuid() == 0:
            self.skipTest("root may read everything")
        path = os.path.join(self.folder, "unreadable.toml")
        with open(path, "w", encoding="ascii"):
            os.chmod(path, 0)
        done = run("check", "--config", path)
        self.assertEqual(done.returncode, 2)
        self.assertIn("may not read it", done.stdout + done.stderr)


class WritersTest(scene.SceneTest):
    """Others that may write where an edge reads whom it trusts."""

    def places(self, edge):
        """{words: path} that must not be writable for others."""
        profile = edge.config["tls.federation"]
        return {"the configuration": edge.path, "the key": profile["certificate-key"], "the CAs": profile["trusted-ca"],
                "the folder of the configuration": os.path.dirname(edge.path)}

    def test_check_start_and_reload_warn(self):
        edge = self.another_edge()
        for words, path in self.places(edge).items():
            before = os.stat(path).st_mode
            for more, writers in ((0o020, "the group"), (0o002, "everybody")):
                if words == "the key" and writers == "everybody":
                    continue  # Any access of theirs is an error.
                with self.subTest(place=words, writers=writers):
                    os.chmod(path, before | more)
                    self.addCleanup(os.chmod, path, before)
                    pattern = r"%s: %s may change .*%s" % (path, writers, words)
                    done = run("check", "--config", edge.path)
                    self.assertEqual(done.returncode, 1, done.stdout)
                    self.assertRegex(done.stdout, pattern)
                    edge.process.send_signal(signal.SIGHUP)
                    self.wait_log(edge, pattern)
            os.chmod(path, before)
        os.chmod(edge.path, 0o666)
        edge.terminate()
        edge.wait_exit()
        edge.start()
        self.assertRegex(edge.log(), r"(?m)^\S+: warning: %s: everybody may change the configuration" % edge.path)

    def wait_log(self, edge, pattern):
        deadline = time.monotonic() + 10.0
        while True:
            try:
                return self.assertRegex(edge.log(), pattern)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


@unittest.skipIf(edge_process.is_sanitized(), "a sanitizer must be the first library")
class HangingFileSystemTest(scene.SceneTest):
    """A file system that does not answer, played by a library in front of the system's."""

    @classmethod
    def prepare(cls):
        source, cls.library = os.path.join(cls.folder, "hanging.c"), os.path.join(cls.folder, "hanging.so")
        with open(source, "w", encoding="ascii") as out:
            out.write(HANGING_FILE_SYSTEM)
        subprocess.run([find("cc"), "-shared", "-fPIC", "-o", cls.library, source, "-ldl"], check=True)
        cls.hanging, cls.seen = os.path.join(cls.folder, "hangs"), os.path.join(cls.folder, "seen")

    def setUp(self):
        self.addCleanup(self.answer)

    def on_it(self):
        """The environment of a process that uses this file system; the usual one again after the block."""
        return mock.patch.dict(os.environ, {"LD_PRELOAD": self.library, "HANGING": "ca.pem",
                                            "HANGING_WHILE": self.hanging, "HANGING_SEEN": self.seen})

    def edge_on_it(self):
        edge = self.new_edge(start=False)
        self.addCleanup(edge.stop)
        with self.on_it():
            edge.start()
        return edge

    def hang(self):
        with open(self.hanging, "w", encoding="ascii"):
            pass

    def answer(self):
        for path in (self.hanging, self.seen):
            if os.path.exists(path):
                os.remove(path)

    def wait_hanging(self):
        deadline = time.monotonic() + 10.0
        while not os.path.exists(self.seen):
            self.assertLess(time.monotonic(), deadline, "nothing has asked for the file")
            time.sleep(0.02)

    def test_a_reload_that_hangs_holds_up_nothing(self):
        edge = self.edge_on_it()
        self.hang()
        before = edge.metrics().value("config_reloads_total")
        edge.process.send_signal(signal.SIGHUP)
        self.wait_hanging()
        with self.client(port=edge.port) as client:
            self.assertEqual(client.exchange(request()).status, 200)
        self.assertEqual(edge.metrics().value("config_reloads_total"), before)
        self.assertEqual(edge.page("/readyz")[0], 200)
        edge.terminate()
        self.assertEqual(edge.wait_exit(10.0), 0)

    def test_signals_during_a_reload_are_one_more(self):
        edge = self.edge_on_it()
        self.hang()
        before = edge.metrics().value("config_reloads_total")
        edge.process.send_signal(signal.SIGHUP)
        self.wait_hanging()
        for _ in range(3):
            edge.process.send_signal(signal.SIGHUP)
            self.assertEqual(edge.page("/livez")[0], 200)
        self.answer()
        edge.wait_metric("config_reloads_total", before + 2, result="ok")

    def test_a_start_that_hangs_can_be_ended(self):
        edge = self.new_edge(start=False)
        self.hang()
        with self.on_it():
            process = subprocess.Popen([edge_process.binary(), "run", "--config", edge.path], cwd=self.folder,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        self.wait_hanging()
        process.send_signal(signal.SIGHUP)
        self.assertIsNone(process.poll())
        process.terminate()
        self.assertEqual(process.wait(10.0), -signal.SIGTERM)


if __name__ == "__main__":
    scene.main()
