"""The configurations that deploy/interop ships, copied with other ports and paths for a test."""
import os
import shutil
import tomllib

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))),
                      "deploy", "interop")


def copy(name, to, changes):
    """Copies a profile's folder. `changes` are {file: {text: replacement}}; every text must be there, so that a test
    notices when what it relies on is gone."""
    shutil.copytree(os.path.join(FOLDER, name), to)
    for file, replacements in changes.items():
        path = os.path.join(to, file)
        with open(path, encoding="utf-8") as original:
            text = _replaced(name + "/" + file, original.read(), replacements)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)


def load(name, replacements):
    """The sallyport.toml of a profile, with other ports and paths, in the form that Edge takes."""
    with open(os.path.join(FOLDER, name, "sallyport.toml"), encoding="utf-8") as file:
        config = tomllib.loads(_replaced(name + "/sallyport.toml", file.read(), replacements))
    for profile, table in config.pop("tls").items():
        config["tls." + profile] = table
    return config


def _replaced(file, text, replacements):
    for old, new in replacements.items():
        if old not in text:
            raise AssertionError("%s has no %r" % (file, old))
        text = text.replace(old, new)
    return text
