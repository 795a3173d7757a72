"""One server of a cluster under a clock of its own: python member.py SETTINGS.json (of `ServeSettings`)."""

import sys
from pathlib import Path

from tocsin.app.serve import print_line, serve
from tocsin.app.settings import ServeSettings, environment
from tocsin.app.supervise import MODULES, WORKER
from tocsin.selfmon.clock import SystemClock
from tocsin.selfmon.logs import set_up
from tocsin.spec.load import load_config
from tocsin.spec.packs import load_packs


def main(file):
    set_up("supervisor")
    settings = ServeSettings.model_validate_json(Path(file).read_text())
    loaded = load_config(settings.config_path, environment(), load_packs())
    commands = WORKER if settings.role == "worker" else MODULES
    return serve(settings, loaded, SystemClock(), say=print_line, commands=commands)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
