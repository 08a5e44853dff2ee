"""Whatever can be answered without running is answered without torch."""

import json
import os
import subprocess
import sys

import pytest

from tests.toy_house import REPOSITORY

SCRIPT = """
import json, sys
from bmx.cli.main import main
said = []
for arguments in json.loads(sys.argv[1]):
    code = main(arguments)
    heavy = {"torch", "pytorch_lightning", "lightning", "torchvision", "matplotlib", "numpy"} & set(sys.modules)
    said.append([" ".join(arguments), code, sorted(heavy), "hydra" in sys.modules])
sys.stderr.write("\\n" + json.dumps(said))
"""


def ask(commands, house, **env):
    """Run command lines one after another in a fresh process: each with its exit code and what is imported by then.

    The small configuration comes first on the search path, so that this holds whatever bmx's own says.
    """
    path = os.pathsep.join(entry for entry in [str(REPOSITORY), *sys.path] if entry)
    environment = {**os.environ, "PYTHONPATH": path, "BMX_CONF": str(house.conf), **env}
    command = [sys.executable, "-c", SCRIPT, json.dumps([line.split() for line in commands])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=house.work, env=environment, check=True)
    return done.stdout, json.loads(done.stderr.splitlines()[-1])


def test_the_quick_answers_do_not_even_import_hydra(house):
    answers = {"": 0, "--help": 0, "--version": 0, "tran": 2, "train --cfg jobs": 2, "train lr=": 2}
    answers |= {"completion bash": 0, "runs list": 0, "runs lits": 2}
    _, said = ask(answers, house)
    assert said == [[line, code, [], False] for line, code in answers.items()]


def test_nothing_that_does_not_run_imports_torch(house):
    answers = {"train --help": 0, "train --cfg job": 0, "train --info searchpath": 0, "train lrr=3": 2}
    answers |= {"train epochs=ten": 2, "train model=lenet": 2, "train -m epochs=1,ten": 2, "evaluate --help": 0}
    _, said = ask(answers, house)
    assert said == [[line, code, [], True] for line, code in answers.items()]


@pytest.mark.slow
def test_a_run_that_draws_nothing_imports_no_matplotlib(house):
    words = "train data=points model=linear epochs=1 plots=false"
    _, said = ask([words], house, BMX_CONF="")
    assert said[0][:2] == [words, 0] and "torch" in said[0][2] and "matplotlib" not in said[0][2]


def test_completion_too(house):
    line = "bmx train model="
    out, said = ask(["_complete"], house, COMP_LINE=line, COMP_POINT=str(len(line)))
    assert "model=net" in out and said == [["_complete", 0, [], True]]
