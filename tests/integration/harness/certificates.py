"""Certificates minted by the openssl command line, so that no code of ours judges its own work.

A leaf is named by the list of its identities, the way tests/corpus/identity-bypass.tsv writes them
("URI:sip:a.example", "DNS:a.example", "CN=a.example"), and is minted once per list.
"""
import copy
import os
import re
import subprocess
import threading

_KEYS = {
    "ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ecdsa-p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "rsa": ["-newkey", "rsa:2048"],
    "ed25519": ["-newkey", "ed25519"],
}
SIP_DOMAIN = "1.3.6.1.5.5.7.3.20"  # id-kp-sipDomain, RFC 5924.


def openssl(*arguments, text=None):
    """Runs the openssl command line and fails with its own words."""
    done = subprocess.run(["openssl", *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise RuntimeError("openssl %s: %s" % (" ".join(arguments), done.stderr.decode(errors="replace")))
    return done.stdout


class Certificate:
    """Paths of one certificate: `chain` holds the leaf and then its intermediates, `key` the private key."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, name + ".pem")
        self.key = os.path.join(folder, name + ".key")
        self.chain = self.path

    def subject_key_identifier(self):
        shown = openssl("x509", "-in", self.path, "-noout", "-ext", "subjectKeyIdentifier").decode()
        return re.search(r"((?:[0-9A-F]{2}:){19}[0-9A-F]{2})", shown).group(1)


def _extensions(identities, sans, eku, is_ca, key_identifier):
    lines = ["basicConstraints=critical,CA:%s" % ("TRUE" if is_ca else "FALSE"),
             "keyUsage=critical,%s" % ("keyCertSign,cRLSign" if is_ca else "digitalSignature"),
             "subjectKeyIdentifier=%s" % key_identifier]
    if eku:
        lines.append("extendedKeyUsage=" + eku)
    if isinstance(sans, str):  # The whole extension as hexadecimal DER, for names that no tool would write.
        lines.append("subjectAltName=DER:" + sans)
    elif sans:
        lines.append("subjectAltName=@names")
    return lines


def _split(identities):
    """(subject fields, SAN entries) of a list of identities."""
    subject, sans = [], []
    for identity in identities:
        kind = re.match(r"(CN|O|OU)=", identity)
        if kind:
            subject.append(identity)
        else:
            sans.append(identity)
    return subject, sans


class Authority(Certificate):
    """A CA. `parent` makes it an intermediate; `key_identifier` lets a clone claim somebody else's key id; `dates` is a
    pair such as leaf() takes."""

    def __init__(self, folder, name, common_name, parent=None, key="ecdsa", key_identifier="hash", dates=None):
        super().__init__(folder, name)
        self._folder = folder
        self._parent = parent
        self._leaves = {}
        self._count = 0
        self._lock = threading.Lock()
        self._mint(self, parent, ["CN=" + common_name], [], key=key, eku=None, is_ca=True,
                   key_identifier=key_identifier, dates=dates)

    def leaf(self, *identities, key="ecdsa", eku="clientAuth,serverAuth", san_der=None, not_before=None,
             not_after=None, issuer=None):
        """A certificate with these identities. Dates are ASN.1 times such as 20200101000000Z; `issuer` is a
        certificate that is no CA and signs all the same."""
        with self._lock:
            wanted = (identities, key, eku, san_der, not_before, not_after, issuer)
            if wanted not in self._leaves:
                self._leaves[wanted] = self._new_leaf(*wanted)
            return self._leaves[wanted]

    def with_root(self, leaf):
        """The same leaf, sent with this authority's own certificate. Without, OpenSSL completes the chain from what the
        client trusts, and takes a namesake of the authority for it."""
        sent = copy.copy(leaf)
        sent.chain = leaf.path[:-4] + "-with-root.pem"
        with open(sent.chain, "w", encoding="ascii") as chain:
            for path in (leaf.path, self.path):
                with open(path, encoding="ascii") as part:
                    chain.write(part.read())
        return sent

    def _new_leaf(self, identities, key, eku, san_der, not_before, not_after, issuer):
        self._count += 1
        minted = Certificate(self._folder, "%s-%d" % (os.path.basename(self.path)[:-4], self._count))
        subject, sans = _split(identities)
        self._mint(minted, issuer or self, subject or ["CN=leaf %d" % self._count], san_der or sans, key, eku,
                   is_ca=False, dates=(not_before, not_after) if not_before else None)
        above = []
        if issuer is not None:
            above.append(issuer.path)
        if self._parent is not None:
            above.append(self.path)
        if above:
            minted.chain = minted.path[:-4] + "-chain.pem"
            with open(minted.chain, "w", encoding="ascii") as chain:
                for path in [minted.path] + above:
                    with open(path, encoding="ascii") as part:
                        chain.write(part.read())
        return minted

    def _mint(self, minted, issuer, subject, sans, key, eku, is_ca, key_identifier="hash", dates=None):
        extensions = _extensions(subject, sans, eku, is_ca, key_identifier)
        if issuer is not None and issuer is not minted:
            extensions.append("authorityKeyIdentifier=keyid:always")
        # Several CNs need an index in front, and the order of lines is the order in the subject.
        names = ["%d.%s" % (n, field) for n, field in enumerate(subject)]
        lines = ["[req]", "prompt=no", "distinguished_name=subject", "x509_extensions=extensions", "[subject]"]
        lines += names + ["[extensions]"] + extensions
        if sans and not isinstance(sans, str):
            lines.append("[names]")
            counts = {}
            for entry in sans:
                kind, value = entry.split(":", 1)
                counts[kind] = counts.get(kind, 0) + 1
                lines.append("%s.%d=%s" % (kind, counts[kind], value))
        config = minted.path[:-4] + ".cnf"
        with open(config, "w", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")
        if dates is None:
            signer = [] if issuer is None or issuer is minted else ["-CA", issuer.path, "-CAkey", issuer.key]
            openssl("req", "-x509", *_KEYS[key], "-nodes", "-days", "90", "-config", config, *signer,
                    "-keyout", minted.key, "-out", minted.path)
        else:
            self._mint_dated(minted, issuer, config, key, dates)
        os.chmod(minted.key, 0o600)

    def _mint_dated(self, minted, issuer, config, key, dates):
        """`openssl req` of version 3.0 cannot set a start date; `openssl ca` can."""
        request = minted.path[:-4] + ".csr"
        openssl("req", "-new", *_KEYS[key], "-nodes", "-config", config, "-keyout", minted.key, "-out", request)
        database = minted.path[:-4] + ".db"
        open(database, "w", encoding="ascii").close()
        ca_config = minted.path[:-4] + "-ca.cnf"
        with open(ca_config, "w", encoding="ascii") as out:
            out.write("[ca]\ndefault_ca=it\n[it]\ndatabase=%s\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=any\n"
                      "unique_subject=no\nrand_serial=yes\n[any]\ncommonName=optional\n" % (database, self._folder))
        signer = ["-selfsign", "-keyfile", minted.key] if issuer is None else ["-cert", issuer.path, "-keyfile", issuer.key]
        openssl("ca", "-batch", "-notext", "-config", ca_config, "-in", request, *signer, "-startdate", dates[0],
                "-enddate", dates[1], "-extfile", config, "-extensions", "extensions", "-out", minted.path)


def self_signed(folder, name, *identities):
    """A leaf that vouches for itself."""
    minted = Certificate(folder, name)
    subject, sans = _split(identities)
    Authority._mint(None, minted, None, subject or ["CN=self"], sans, "ecdsa", "clientAuth,serverAuth", is_ca=False)
    return minted


def general_names(*entries):
    """DER of a GeneralNames as hexadecimal; entries are (tag, bytes): 0x82 DNS, 0x86 URI, 0x81 mail."""
    body = b"".join(bytes([tag, len(value)]) + value for tag, value in entries)
    assert len(body) < 128
    return (bytes([0x30, len(body)]) + body).hex()
