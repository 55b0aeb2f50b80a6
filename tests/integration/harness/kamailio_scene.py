"""The stage of deploy/interop/kamailio: the edge and Kamailio behind it, as these files say, on other ports."""
import os
import secrets

from . import edge as edge_process
from . import kamailio, profiles, scene
from .edge import free_port


class KamailioScene(scene.SceneTest):
    """Base of tests with Kamailio inside. What prepare() starts is given to started(), which ends it."""

    next_hops = 0

    @classmethod
    def prepare(cls):
        cls.programs = []
        cls.inside_port, cls.outside_port, cls.kamailio_port = free_port(), free_port(), free_port()
        cls.secret = os.path.join(cls.folder, "edge.secret")
        cls.write_secret(secrets.token_hex(32) + "\n")
        cls.registrar = cls.started(kamailio.inside(cls.folder, cls.inside_port, cls.inside_port, cls.kamailio_port,
                                                    cls.kamailio_config()))

    @classmethod
    def write_secret(cls, lines):
        with open(os.open(cls.secret + ".new", os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
            out.write(lines)
        os.replace(cls.secret + ".new", cls.secret)

    @classmethod
    def kamailio_config(cls):
        """The path of another kamailio.cfg than the one that is shipped."""
        return None

    @classmethod
    def profile(cls, outside_port, inside_port):
        certificate = cls.authority.leaf(*scene.EDGE)
        return profiles.load("kamailio", {
            "edge.secret": cls.secret, "edge.pem": certificate.chain, "edge.key": certificate.key,
            "ca.pem": cls.authority.path, "127.0.0.1:9090": "127.0.0.1:%d" % free_port(),
            "0.0.0.0:5061": "127.0.0.1:%d" % outside_port, "127.0.0.1:5070": "127.0.0.1:%d" % inside_port,
            "127.0.0.1:5080": "127.0.0.1:%d" % cls.kamailio_port})

    @classmethod
    def usual_config(cls):
        return edge_process.merge(cls.profile(cls.outside_port, cls.inside_port), {"timeouts": {"drain": "5s"}})

    @classmethod
    def started(cls, program):
        cls.programs.append(program)
        return program

    @classmethod
    def _tear_down(cls):
        try:
            super()._tear_down()
        finally:
            for program in reversed(cls.programs):
                program.stop()
