"""The configurations of deploy/interop load: certificates of our own CA where each expects them, then `check`."""
import json
import os
import secrets
import shutil
import tempfile
import unittest

from harness import edge as edge_process
from harness import profiles, scene

# Whose certificate it is that the edge shows.
DOMAINS = {"kamailio": "edge.example", "baresip": "edge.example", "asterisk": "edge.example",
           "teams": "sbc.example.com"}


class ProfilesTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sallyport-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def ca(self, *arguments):
        done = edge_process.run("ca", *arguments, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)

    def unpack(self, name):
        """The profile in a folder of its own, with everything that it names. A certificate authority of a test vouches
        for what a real one would."""
        folder = os.path.join(self.folder, name)
        profiles.copy(name, folder, {})
        self.ca("init", "ca", "--name", "Profile CA")
        self.ca("issue", "ca", "edge", "--domain", DOMAINS[name], "--dns", DOMAINS[name])
        for file in ("edge.pem", "edge.key", "ca.pem"):
            shutil.copy(os.path.join(self.folder, "ca", file), folder)
        with open(os.open(os.path.join(folder, "edge.secret"), os.O_WRONLY | os.O_CREAT, 0o600), "w",
                  encoding="ascii") as out:
            out.write(secrets.token_hex(32) + "\n")
        return folder

    def test_every_profile_is_listed_here(self):
        self.assertEqual(set(DOMAINS), {entry.name for entry in os.scandir(profiles.FOLDER) if entry.is_dir()})

    def test_has_a_readme(self):
        for name in DOMAINS:
            with self.subTest(name):
                self.assertTrue(os.path.exists(os.path.join(profiles.FOLDER, name, "README.md")))


def _check(name):
    def test(self):
        done = edge_process.run("check", "--config", os.path.join(self.unpack(name), "sallyport.toml"), "--json")
        findings = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0, findings)
    return test


for _name in DOMAINS:
    setattr(ProfilesTest, "test_check_of_" + _name, _check(_name))

if __name__ == "__main__":
    scene.main()
