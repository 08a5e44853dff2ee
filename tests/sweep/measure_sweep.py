"""Eight LeNet-5 trainings on mnist_5k: as a sweep of two at a time, one by one, and what could be reached at best.

    python tests/sweep/measure_sweep.py [jobs] [epochs]

The ideal is one start-up and the trainings shared out over the places; start-up is what a single run takes beyond its
own training, and a training is the mean of the single runs. All of it is measured in one go, alternating, so that a
machine whose speed wanders does not decide.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def bmx(work: Path, *words: str) -> float:
    """Seconds of a command."""
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bmx", *words], cwd=work, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    places = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    jobs, words = 8, ("model=lenet5", "data=mnist_5k", f"epochs={epochs}", "plots=false")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        bmx(work, "train", *words[:2], "epochs=1", "plots=false")  # fills the caches of the disk
        single: list[float] = []
        inside: list[float] = []
        single += [bmx(work, "train", *words, f"seed={seed}") for seed in range(4)]
        swept = bmx(work, "sweep", *words, f"seeds={jobs}", f"jobs={places}")
        single += [bmx(work, "train", *words, f"seed={seed}") for seed in range(4, jobs)]
        for path in work.glob("outputs/train/*/*/result.json"):
            result = json.loads(path.read_text())
            if result["epochs"] == epochs:
                inside.append(result["seconds"]["total"])
        startup = statistics.mean(single) - statistics.mean(inside)
        ideal = startup + jobs * statistics.mean(inside) / places
        print(f"one run          {statistics.mean(single):6.1f} s, of it training {statistics.mean(inside):.1f} s")
        print(f"8 runs in a row  {sum(single):6.1f} s")
        print(f"sweep, jobs={places}    {swept:6.1f} s")
        print(f"ideal            {ideal:6.1f} s")
        print(f"sweep / ideal    {swept / ideal:6.2f}")
        print(f"row / sweep      {sum(single) / swept:6.2f}")


if __name__ == "__main__":
    main()
