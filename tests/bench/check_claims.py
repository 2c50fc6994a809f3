"""What of `./dev bench claims` holds on any machine, however busy: sizes and look-ups, not rates. That each claim is found again,
and no other, the benchmark sees to itself."""

import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MOST = {"memory_bytes_per_claim": 2.0, "disk_bytes_per_claim": 45.0, "false_lookups_percent": 1.0}
SMALL = ["--claims", "2000000", "--single", "200000", "--look", "100000", "--prune", "5", "--turns", "0", "--orders", "50000"]


def main():
    run = subprocess.run([os.path.join(HERE, "claims"), *SMALL], stdout=subprocess.PIPE, text=True, check=False)
    print(run.stdout)
    if run.returncode != 0:
        sys.exit(f"the benchmark ended with {run.returncode}")
    found = json.loads(run.stdout.splitlines()[-1])
    wrong = [f"{name} is {found[name]}, at most {most} is allowed" for name, most in MOST.items() if not 0 <= found[name] <= most]
    if found["claims"] != 2000000 or found["buckets_pruned"] != 5:
        wrong.append("it did not do what it was told")
    for text in wrong:
        print(f"WRONG: {text}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
